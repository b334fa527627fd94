"""While a project is frozen nothing is promoted."""
