"""Tests of releases.checklist."""
