"""Loopback stand-ins for GitHub and Railway, for trying the portal out and for its tests.

Product code never imports this package: it is reached by URL only (import-linter holds that).
"""
