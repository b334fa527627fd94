"""A bare clone of each project's repository, the keys that fetch it, and the audit anchors kept
in it.
"""
