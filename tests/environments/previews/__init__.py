"""Tests of environments.previews."""
