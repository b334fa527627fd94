"""Backup and restore of the portal as one file; docs/operations.md says what is in it."""
