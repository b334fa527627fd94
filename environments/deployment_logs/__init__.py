"""Railway's build and deploy logs of deployments that failed, kept for the people who fix them."""
