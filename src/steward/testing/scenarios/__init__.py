"""Scenarios that are shipped: what is decided, who asks, and who answers."""
