"""Changes of variables since the last release."""
