"""Tests of environments.git."""
