"""Our rows as copies of what GitHub says."""
