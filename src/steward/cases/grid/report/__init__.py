"""What a region's data would have brought: a study of it, and a report that a manager can read."""
