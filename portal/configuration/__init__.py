"""Configuration that is code or decides who may do what: changed by two people."""
