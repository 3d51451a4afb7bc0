"""Whole runs in virtual time, by seed: the loop, what goes wrong, the world around a runtime, and what must hold."""
