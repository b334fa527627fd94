"""Logs: one id from a request through its jobs to outward calls, JSON lines, errors to a DSN."""
