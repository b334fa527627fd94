"""Bringing one database to a revision in a child process."""
