"""Tests of environments.mirror."""
