"""The two long-lived branches: their protection, and the fast-forward of staging to main."""
