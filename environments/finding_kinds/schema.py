"""Databases whose schema is not what the revisions say."""

from environments.finding_kinds.registry import kind

SCHEMA = kind("schema", "schema changed outside migrations", sign_off=True)
