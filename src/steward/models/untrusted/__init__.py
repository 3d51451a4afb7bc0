"""What comes from outside is looked at in a process that can do little."""
