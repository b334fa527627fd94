"""Health checks of what the portal reads from GitHub."""
