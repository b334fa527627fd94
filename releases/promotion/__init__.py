"""Bringing a release to production, step by step."""
