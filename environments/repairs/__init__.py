"""Repairs of Railway, GitHub and git that a person requests: actions, steps and addresses."""
