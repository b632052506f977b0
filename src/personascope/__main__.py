"""`python -m personascope` is the command line."""

from personascope.cli import main

if __name__ == "__main__":
    main()
