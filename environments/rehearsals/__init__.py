"""Migrations tried over a copy of a database's schema, on a scratch server."""
