"""Tests of releases.gates."""
