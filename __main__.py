"""`python -m litmobile`, the command line where only a module can be named."""

from .tools.cli import main

if __name__ == "__main__":
    main()
