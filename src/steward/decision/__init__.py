"""What is declared: pure values, no I/O, no async."""
