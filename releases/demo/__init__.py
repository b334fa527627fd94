"""The demo: a release shipped without a browser."""
