"""What a person's terminal may ask over HTTP, with an access token: see `portalctl`."""
