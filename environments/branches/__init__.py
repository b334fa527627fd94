"""The two long-lived branches: their protection, and staging brought level with main."""
