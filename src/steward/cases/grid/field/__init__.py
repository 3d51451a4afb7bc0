"""The field: what meters, feeders and batteries say and are told, over the protocols that a utility has."""
