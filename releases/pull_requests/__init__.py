"""Open pull requests: their migrations, the comment to their authors, and commits without a pull
request.
"""
