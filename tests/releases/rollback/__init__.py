"""Tests of releases.rollback."""
