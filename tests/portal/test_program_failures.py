"""What a project's program lacked, read from what it printed."""

import pytest

from portal.program_failures import complaint

PYDANTIC = """pydantic_core._pydantic_core.ValidationError: 2 validation errors for Settings
PROJECT_NAME
  Field required [type=missing, input_value={}, input_type=dict]
    For further information visit https://errors.pydantic.dev/2.9/v/missing
secret_key
  Field required [type=missing, input_value={}, input_type=dict]
    For further information visit https://errors.pydantic.dev/2.9/v/missing"""
OLDER = """pydantic.error_wrappers.ValidationError: 1 validation error for Settings
DATABASE_URI
  field required (type=value_error.missing)"""
ASYNCPG = "OSError: Multiple exceptions: [Errno 111] Connect call failed ('127.0.0.1', 5432)"
REFUSED = (
    'psycopg2.OperationalError: connection to server at "db" (10.0.0.5), port 5432 failed:'
    " Connection refused"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PYDANTIC, "its settings need the variables PROJECT_NAME, SECRET_KEY; add them"),
        (OLDER, "its settings need the variables DATABASE_URI; add them"),
        ("Traceback:\nKeyError: 'EMBEDDING_DIM'", "the variable EMBEDDING_DIM is not set"),
        ("KeyError: \"Config 'SECRET' is missing, and has no default.\"", "the variable SECRET is"),
        ('environs.EnvError: Environment variable "X_Y" not set', "the variable X_Y is not set"),
        ("decouple.UndefinedValueError: KEY not found. Declare it", "the variable KEY is not set"),
        ("ModuleNotFoundError: No module named 'shop.models'", "the package “shop.models” is not"),
        ("ModuleNotFoundError: No module named 'psycopg2'", "the address asks for the driver psy"),
        (
            "InvalidRequestError: The asyncio extension requires an async driver to be used.",
            "`DATABASE_URL=postgresql+asyncpg://${DATABASE_URL#*://}`",
        ),
        ('ERROR: extension "vector" is not available', "the database server lacks the extension"),
        (REFUSED, "it connects to db:5432, not to the address in DATABASE_URL"),
        (ASYNCPG, "it connects to 127.0.0.1:5432, not to the address in DATABASE_URL"),
        ('could not translate host name "postgres" to address', "it connects to postgres, not"),
    ],
)
def test_what_is_lacking_is_named_with_the_way_out(text, expected):
    assert expected in complaint(text)


@pytest.mark.parametrize(
    "text",
    ["", "KeyError: 'id'", 'relation "users" does not exist', "Field required", "IndexError: x"],
)
def test_nothing_is_said_of_anything_else(text):
    assert complaint(text) == ""
