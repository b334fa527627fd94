"""Tests of portal.isolation."""
