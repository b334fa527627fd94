"""Proven stamps of databases."""
