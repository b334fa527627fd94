"""What must agree between branches, environments, services and databases, and does not."""
