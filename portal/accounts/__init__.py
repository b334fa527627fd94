"""People, their roles, how they sign in, and what their sessions have proven."""
