"""Tests of releases.task_logs."""
