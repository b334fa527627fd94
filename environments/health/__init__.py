"""Health checks of what the portal reads from Railway and of its credentials."""
