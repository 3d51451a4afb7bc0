"""Energy bought in the day above the contracted plan."""
