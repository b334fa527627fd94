"""Task logs of releases and findings, written by people."""
