"""The processes of a portal: web server, supervisor, PostgreSQL."""
