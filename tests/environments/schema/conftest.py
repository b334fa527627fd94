"""Scratch databases on the server of the test run."""

import os
import secrets
from urllib.parse import urlsplit

import psycopg
import pytest


def on_server(statement: str) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(statement)


def scratch():
    """The URL of an empty database, dropped afterwards."""
    name = f"scratch_{secrets.token_hex(6)}"
    on_server(f"create database {name}")
    yield urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    on_server(f"drop database {name} with (force)")


database = pytest.fixture(scratch, name="database")
other_database = pytest.fixture(scratch, name="other_database")
