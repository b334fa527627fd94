"""Situations from real life, each a small repository with what is right for it: `make cases`
prints the table.
"""
