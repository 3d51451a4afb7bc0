"""A process that can do little, for what nobody vouches for."""
