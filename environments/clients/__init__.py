"""The GitHub and Railway clients of one project, with its credentials and its *watch only* switch.

Clients are created nowhere else, so no write bypasses *watch only*.
"""

from environments.clients.of_project import git_token_of, github_of, railway_of
from environments.clients.watch_only import withhold

__all__ = ["git_token_of", "github_of", "railway_of", "withhold"]
