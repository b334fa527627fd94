"""The page *Runbook*: where each step of a process run by hand is done now, and what is missing."""
