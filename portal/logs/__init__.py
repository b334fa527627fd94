"""Logs: one id from a request or delivery through its jobs to outward calls, JSON lines, errors
to a DSN.
"""
