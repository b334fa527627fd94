"""The version of the portal: the same as in `pyproject.toml`, which a checkout that is not
installed cannot ask.
"""

VERSION = "0.1.0"
