"""A bare clone of each project, the keys that fetch it, and the audit anchors kept in it."""
