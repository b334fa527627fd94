"""Tests of portal.audit_page."""
