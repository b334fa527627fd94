"""Tests of environments.schema.rehearsal."""
