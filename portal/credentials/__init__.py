"""Credentials that people paste in the browser, encrypted in the database and write-only."""
