"""The page *Runbook*: where each step of a manual process is done in the portal, and what is
missing.
"""
