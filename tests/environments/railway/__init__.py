"""Tests of environments.railway."""
