"""Revision files and their graph, read from git without running them."""
