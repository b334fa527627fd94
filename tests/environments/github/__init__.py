"""Tests of environments.github."""
