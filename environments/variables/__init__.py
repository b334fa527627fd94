"""Variables of services by name and fingerprint, and the rules that must hold for them."""
