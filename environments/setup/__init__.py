"""Connecting a project: what can be chosen, and a proposal from reading it. Writes nothing
outside.
"""
