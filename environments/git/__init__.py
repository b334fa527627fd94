"""Reads repositories with git. Knows no database row."""
