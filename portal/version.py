"""The version of the portal, as in `pyproject.toml`, which is not installed with every checkout."""

VERSION = "0.1.0"
