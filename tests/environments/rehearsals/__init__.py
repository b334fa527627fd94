"""Tests of environments.rehearsals."""
