"""Incoming webhooks: verified before anything is read, stored once, answered at once.

A delivery is only a hint. Its handler (`settings.WEBHOOK_HANDLERS`) only names rows that are stale,
marked in the statement that keeps the delivery, so one that is lost, repeated, reordered or
replayed costs time and never correctness; docs/webhooks.md.
"""
