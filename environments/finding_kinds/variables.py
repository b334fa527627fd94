"""Kinds of findings about variables."""

from environments.finding_kinds.registry import kind

ADDRESS = kind("address", "address of another environment", sign_off=True)
SAME = kind("same", "one value in two environments", sign_off=True)
UNREADABLE = kind("unreadable", "could not be read", sign_off=True)
