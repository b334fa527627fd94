"""Connecting a project: the choices, and a proposal. Writes nothing outside."""
