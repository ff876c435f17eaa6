"""`python -m litmobile.tools.benchmark`."""

from .command import main

if __name__ == "__main__":
    main()
