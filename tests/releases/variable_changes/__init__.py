"""Tests of releases.variable_changes."""
