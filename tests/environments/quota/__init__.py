"""Tests of environments.quota."""
