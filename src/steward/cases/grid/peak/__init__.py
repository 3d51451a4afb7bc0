"""Peak shaving: a battery that keeps the highest reading of each month's meter low."""
