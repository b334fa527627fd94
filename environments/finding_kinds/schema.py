"""Kinds of findings about databases whose schema differs from their revisions."""

from environments.finding_kinds.registry import kind

SCHEMA = kind("schema", "schema changed outside migrations", sign_off=True)
