"""What migrations will do, as SQL, with the risks of it."""
