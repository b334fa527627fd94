"""Tests of environments.schema.run."""
