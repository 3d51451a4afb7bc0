"""Features: windows over streams, computed alike online and over history."""
