"""The verdict on a release as a commit status on GitHub."""
