"""Tests of portal.outbound."""
