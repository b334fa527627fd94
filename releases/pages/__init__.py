"""The board, the release page and the list of pull requests."""
