"""`python -m selaras`, for where the script is not on the path."""

from selaras.cli import main

if __name__ == "__main__":
    main()
