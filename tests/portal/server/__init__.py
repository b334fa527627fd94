"""Tests of portal.server."""
