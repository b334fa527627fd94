"""Bad days: what a person reads on each page, held against the world in the stand-ins."""
