"""Tests of environments.git_mirrors."""
