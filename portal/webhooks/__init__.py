"""Webhooks in: proven genuine before anything is read, kept once, answered at once.

A delivery is a hint. Its handler (`settings.WEBHOOK_HANDLERS`) only names rows that are stale,
marked in the statement that keeps the delivery, so one that is lost, repeated, reordered or
replayed costs time and never correctness; docs/webhooks.md.
"""
