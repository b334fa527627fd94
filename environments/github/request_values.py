"""What goes into requests to GitHub: branches, commits, lines; and what a refusal may mean."""

import re
from collections.abc import Sequence
from urllib.parse import quote

from environments.github.transport import SERVICE
from portal.invisible_characters import visible_line
from portal.outbound.http import ApiError
from portal.outbound.parsing import commit, text

DESCRIPTION_LETTERS = 140
# What git itself refuses in a branch name (git-check-ref-format).
_NO_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|//|@\{|^[/.-]|[/.]$|\.lock$|^$")


def passing_reason(refusal: str) -> str:
    """Return why a change was refused where that may soon be over; "" where people must act."""
    message = refusal.lower()
    if "base branch was modified" in message:
        return "its base branch moved meanwhile"
    if "required status check" in message and ("expected" in message or "pending" in message):
        return "it has not reckoned with the newest status yet"
    return ""


def hook_body(url: str, secret: str, events: Sequence[str]) -> dict[str, object]:
    # The whole config each time: one sent without its secret loses it.
    config = {"url": url, "content_type": "json", "secret": secret, "insecure_ssl": "0"}
    return {"active": True, "events": list(events), "config": config}


def short_line(description: str) -> str:
    """Return one line in which all can be seen, of no more letters than GitHub takes."""
    line = visible_line(description)
    return line if len(line) <= DESCRIPTION_LETTERS else line[: DESCRIPTION_LETTERS - 1] + "…"


def branch_part(name: str) -> str:
    """Return a branch or commit as part of a path; refuse what git would refuse."""
    if _NO_BRANCH.search(name):
        raise ApiError(
            SERVICE, "refused", f"“{text(name, 80)}” is no name of a branch: correct it."
        )
    return quote(name)


def commit_part(sha: str) -> str:
    if sha_part := commit(sha):
        return sha_part
    raise ApiError(
        SERVICE, "refused", f"“{text(sha, 80)}” is no full commit id: give all 40 digits."
    )
