"""The figures of the grid case, a file a part; see ``benchmarks.grid.__main__``."""
