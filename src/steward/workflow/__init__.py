"""Steps in order, each result remembered: the port and its engines."""
