"""Models: a registry of immutable folders, and the engines that answer from what it holds."""
