"""Tests of environments.overview."""
