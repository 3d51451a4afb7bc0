"""Whether the world that decisions see is still the one they were made for; see ``docs/drift.md``."""
