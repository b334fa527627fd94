"""Tests of environments.schema.plan."""
