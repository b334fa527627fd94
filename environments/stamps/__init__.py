"""Proving which revision a database's schema is, and writing it down by two people."""
