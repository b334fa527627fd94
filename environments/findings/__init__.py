"""Differences between the expected and the actual state: their kinds, writer, page and repairs."""
