"""The services of a project: what each is expected to serve, and whether it does."""
