"""`python -m ta_data`: the same as the command `ta-data`."""

from ta_data.cli import main

if __name__ == "__main__":
    main()
