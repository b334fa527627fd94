"""Preview environments for pull requests."""
