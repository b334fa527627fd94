"""Findings: differences between the expected and the actual state. Their kinds, writer, page and
repairs.
"""
