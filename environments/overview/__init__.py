"""The page Environments: services by environments, findings and repairs of one project."""
