"""Reading a repository by git itself. Knows no row."""
