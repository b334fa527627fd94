"""Tests of environments.schema.history."""
