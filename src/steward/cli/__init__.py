"""The command line: a face, which holds no rule of its own."""
