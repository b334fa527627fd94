"""Rollbacks: the assessment, the steps and approvals of a rollback, and downgrades."""
