"""Health of the portal itself: checks, incidents, the status page, `/health/…` and `/metrics`.

Start in `registry`.
"""
