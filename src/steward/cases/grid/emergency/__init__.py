"""Emergency dispatch: when the frequency falls, relieve the grid in a declared order, hold, and put everything back."""
