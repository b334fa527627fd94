"""What became of the variables since the last release."""
