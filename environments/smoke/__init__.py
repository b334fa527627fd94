"""One request to a service's own address, as a visitor makes it."""
