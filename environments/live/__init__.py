"""Which services a release is about, and whether each is as it should be: one definition, used everywhere."""

from environments.live.liveness import Live, live_of, liveness, serves_instead, unread
from environments.live.roles import Role, belongs, role_of

__all__ = ["Live", "Role", "belongs", "live_of", "liveness", "role_of", "serves_instead", "unread"]
