"""The clients of one project: with its credentials, and held back while it only watches.

Nothing else in the product makes a client, so that no write goes around *watch only*.
"""

from environments.clients.of_project import git_token_of, github_of, railway_of
from environments.clients.watch_only import withhold

__all__ = ["git_token_of", "github_of", "railway_of", "withhold"]
