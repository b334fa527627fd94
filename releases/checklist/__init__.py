"""The checklist of a release: its templates, its items, and ticking them."""
