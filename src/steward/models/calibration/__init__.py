"""What a model's confidence is worth: calibrators, and intervals that follow the outcomes."""
