"""The first worked case: a regional utility with a battery."""
