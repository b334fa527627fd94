"""Smoke tests of staging before a promotion."""
