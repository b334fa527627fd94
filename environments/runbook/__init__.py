"""What a repository still holds of a release process run by hand; found by reading, never run."""
