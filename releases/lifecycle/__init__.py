"""A release from its creation to its end: actions, what it collects, and the job that keeps it
up to date.
"""
