"""Repositories renamed on GitHub: read under the new name at once, written to only after people
accept it.
"""
