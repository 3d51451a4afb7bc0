"""Load and price ahead of time."""
