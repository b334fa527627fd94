"""What runs inside the child process, with Alembic and the project's revisions."""
