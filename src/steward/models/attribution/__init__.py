"""Why a model answered as it did: exact attributions, and what would have changed the choice."""
