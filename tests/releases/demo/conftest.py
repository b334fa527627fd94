"""A database that a demo fills."""

from tests.environments.schema.conftest import database

__all__ = ["database"]
