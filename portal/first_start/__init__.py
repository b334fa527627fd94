"""From an empty database to the first administrator, in the browser."""
