"""The engine for jobs that run step by step."""
