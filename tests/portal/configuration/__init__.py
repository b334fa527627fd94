"""Tests of portal.configuration."""
