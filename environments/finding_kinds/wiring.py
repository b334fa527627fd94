"""Kinds of findings about services and environments that are missing or too many."""

from environments.finding_kinds.registry import kind

MISSING = kind("missing", "missing in an environment", sign_off=True)
STRAY = kind("stray", "set where it does not belong")
TWICE = kind("twice", "one name for two environments", sign_off=True)
