"""Tests of environments.schema.downgrade."""
