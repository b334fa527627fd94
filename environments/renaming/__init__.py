"""A repository that was renamed on GitHub: read under its new name at once, written to once
people take that over.
"""
