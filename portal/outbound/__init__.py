"""Calls to the outside: HTTP, credentials, and reading what comes back."""
