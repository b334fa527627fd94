"""Tests of releases.project_settings."""
