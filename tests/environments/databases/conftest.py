"""Scratch databases, as for the reading and running of schemas."""

from tests.environments.schema.conftest import database, other_database

__all__ = ["database", "other_database"]
