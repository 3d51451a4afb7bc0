"""Who vouches for a model: keys, trust, signatures, statements, cards."""
