"""Migrations run up, down and up again over a copy of a schema."""
