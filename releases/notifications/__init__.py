"""Notifications: who is awaited and what happened, told by Slack, signed webhooks and e-mail.

`kinds` says what is told, `feed` turns events of the audit trail into notices, `deliver` sends
them, `transports` has one function for each way. Actions never wait for any of it.
"""
