"""Whether the commands with which Railway starts a service run Alembic."""

import re

from environments.models import AtStart

# Flask's `db upgrade` is Alembic as well.
_ALEMBIC = re.compile(r"\balembic\b|\bdb\s+upgrade\b", re.I)
_CALLS_ON = re.compile(
    r"\.sh\b|(?:^|[\s;&|'\"])\./|\b(?:make|just|npm|yarn|pnpm|poe|task|invoke|python\d? \S+\.py)\b"
)


def at_start(pre_deploy: str | None, start: str | None) -> AtStart:
    """Return whether these commands run Alembic.

    None: there is none; without a start command the image decides.
    """
    if _ALEMBIC.search(pre_deploy or ""):
        return AtStart.PRE_DEPLOY
    if _ALEMBIC.search(start or ""):
        return AtStart.START
    # A script can do anything, and it is not read.
    if not start or any(_CALLS_ON.search(command) for command in (pre_deploy or "", start)):
        return AtStart.UNKNOWN
    return AtStart.NO
