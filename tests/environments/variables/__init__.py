"""Tests of environments.variables."""
