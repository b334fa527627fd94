"""What open pull requests bring, what their authors are told, and commits that came by no pull
request.
"""
