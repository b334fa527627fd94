"""Pull requests: their migrations, our comment, and commits that came without one."""
