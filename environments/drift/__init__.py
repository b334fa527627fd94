"""Drift: branches, environments, services and databases that do not agree."""
