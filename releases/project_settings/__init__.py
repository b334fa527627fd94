"""Connecting a project and configuring how it ships."""
