"""Releases: what decides as one signed document, who gets which, and how one is judged beside another."""
