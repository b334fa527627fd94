"""Comments on pull requests: finding and editing ours, and escaping what others wrote.

What authors choose (titles, paths, names of tables) must not become a mention, a reference, a link
or Markdown.
"""

import re
from collections.abc import Callable

from django.utils.crypto import salted_hmac

from environments.github import GitHub
from portal.invisible_characters import visible
from portal.outbound.http import ApiError

_SPECIAL = frozenset(r"\`*_[]()<>|#!~&$")
_BREAK = "\u200b"  # zero-width: GitHub then sees no mention, reference or address
# What GitHub links after it has read the Markdown, where a backslash no longer helps.
_LINKED = re.compile(r"(@|#|://|(?<![\w])www(?=\.)|\bgh(?=-\d))", re.I)


def put(
    github: GitHub,
    number: int,
    marker: str,
    message: str,
    known: int | None,
    alive: Callable[[], bool],
    *,
    new: bool = True,
) -> int | None:
    """Edit the comment `known`, or our one of the kind `marker`, or write it (`new`); its id.

    At most one write, and none where the comment says this already: the answer to an earlier edit
    may be lost, or its worker gone. None: nothing was written, because there is no comment (any
    more) or the job is not ours. Raise `ApiError`.
    """
    own = _own(github, number, marker)
    message = f"{message}\n{own}"
    try:
        comment = github.read_comment(known) if known else github.find_comment(number, own)
        if not alive() or (comment is None and not new):
            return None
        if comment is None:
            return github.comment(number, message)
        if comment.body.replace("\r\n", "\n").strip() != message:
            github.edit_comment(comment.id, message)
    except ApiError as error:
        if known is None or error.kind != "not_found":
            raise
        return None  # somebody deleted it: the next look writes another
    return comment.id


def _own(github: GitHub, number: int, marker: str) -> str:
    """Return what only the portal can have put into a comment before its own stands there: an
    author who writes `marker` first would otherwise have their comment taken for it, and may edit
    it.
    """
    of = f"{github.path} {number} {marker}"
    return f"<!-- {salted_hmac('release-portal comment', of, algorithm='sha256').hexdigest()} -->"


def plain(message: str, limit: int = 1000) -> str:
    """Return words from outside as they are, in one line: no Markdown, no mention, no link, no
    table cell that ends early.
    """
    return _escaped(_cut(message, limit))


def _escaped(line: str) -> str:
    kept = _LINKED.sub(lambda match: f"{match[0][:1]}{_BREAK}{match[0][1:]}", line)
    return "".join(f"\\{letter}" if letter in _SPECIAL else letter for letter in kept)


def code(message: str, limit: int = 200) -> str:
    """Return a name from outside as code, in which GitHub links nothing."""
    line = _cut(message, limit) or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    space = " " if "`" in line else ""
    return f"{fence}{space}{line}{space}{fence}"


def prose(message: str, limit: int = 1000) -> str:
    """Return a sentence of ours with words from outside; what is in backticks becomes code."""
    parts = _cut(message, limit).split("`")
    return "".join(
        code(part) if at % 2 and part else _escaped(part) for at, part in enumerate(parts)
    )


def _cut(message: str, limit: int) -> str:
    line = " ".join(visible(message).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
