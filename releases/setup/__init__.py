"""Connecting a project: from a pasted credential to the first write."""
