"""Freezes: nothing of a frozen project is promoted."""
