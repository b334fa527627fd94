"""The pages of the bottom app: the audit trail, and what machines ask."""
