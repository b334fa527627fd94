"""Downgrades: whether old code works with the new schema, and which rows a downgrade deletes."""
