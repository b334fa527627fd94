"""Tests of environments.clones."""
