"""The rate limits of Railway and GitHub, and how often each is asked."""
