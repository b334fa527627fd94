"""The version of the portal: `pyproject.toml` reads it from here."""

VERSION = "0.1.0"
