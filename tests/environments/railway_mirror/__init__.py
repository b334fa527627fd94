"""Tests of environments.railway_mirror."""
