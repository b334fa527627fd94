"""Connecting a project: what can be chosen, and what was found by reading it. Writes nothing."""
