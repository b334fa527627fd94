"""Mirrors GitHub: the job that reads it and copies its state into our rows."""
