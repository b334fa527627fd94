"""Proven stamps: the portal proves which revision a schema is, and two people have it written."""
