"""Upgrades or downgrades one database in a child process."""
