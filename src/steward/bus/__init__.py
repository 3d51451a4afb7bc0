"""How events and outcomes arrive: the bus port, its embedded engine, and the loop that consumes it."""
