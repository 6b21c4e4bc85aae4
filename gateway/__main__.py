"""The command `hearthlog`."""

from gateway.cli import main

if __name__ == "__main__":
    main()
