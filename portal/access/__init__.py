"""Who gets in, for how long, and what a person must prove before something dangerous. docs/security.md, "Access"."""
