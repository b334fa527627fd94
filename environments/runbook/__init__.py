"""Finds what a repository still contains of a manual release process; it runs no file."""
