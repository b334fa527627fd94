"""Finds what a repository still contains of a manual release process. It reads files and runs
none.
"""
