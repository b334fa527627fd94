"""Tests of environments.services."""
