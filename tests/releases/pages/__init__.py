"""Tests of releases.pages."""
