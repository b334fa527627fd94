"""Tests of environments.databases."""
