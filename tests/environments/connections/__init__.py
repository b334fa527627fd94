"""Tests of environments.connections."""
