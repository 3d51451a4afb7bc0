"""What ``steward init`` puts into a new project."""
