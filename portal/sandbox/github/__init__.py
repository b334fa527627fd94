"""A stand-in for GitHub over a real bare git repository."""

from .standin import GitHubStandIn
from .state import Refused

__all__ = ["GitHubStandIn", "Refused"]
