"""Policies: choices by rules that are data, checked, versioned and signed like models."""
