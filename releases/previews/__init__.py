"""Which pull requests get a preview environment; `environments.previews` makes and deletes it."""
