"""``python -m steward``: the same as ``steward``."""

from steward.cli.main import main

if __name__ == "__main__":
    main()
