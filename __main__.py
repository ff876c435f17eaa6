"""Runs the command line as `python -m litmobile`."""

from .tools.cli import main

if __name__ == "__main__":
    main()
