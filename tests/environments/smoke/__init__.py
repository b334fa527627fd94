"""Tests of environments.smoke."""
