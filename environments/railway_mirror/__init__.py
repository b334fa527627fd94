"""Mirrors Railway: jobs that read it and copy its state into our rows."""
