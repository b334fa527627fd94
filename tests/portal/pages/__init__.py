"""Tests of portal.pages."""
