"""Patterns like those of .gitignore: which paths a list of them matches.

Pure, and held against git itself by a test.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple


class _Rule(NamedTuple):
    """One pattern; `back`: it begins with “!” and takes its paths out again."""

    back: bool
    directories: bool
    matches: re.Pattern[str]


def takes_in(patterns: Iterable[str], path: str) -> bool:
    """Return whether `patterns` take in the file at `path`: the last one that matches it decides.

    A directory is taken in with all that lies in it, whatever a later pattern says of that.
    """
    rules = [rule for pattern in patterns if (rule := _rule(pattern)) is not None]
    *above, own = accumulate(path.strip("/").split("/"), "{}/{}".format)
    return any(_is_in(rules, folder, directory=True) for folder in above) or _is_in(rules, own)


def is_exception(pattern: str) -> bool:
    """Return whether a pattern only takes paths out."""
    rule = _rule(pattern)
    return rule is not None and rule.back


def _is_in(rules: Iterable[_Rule], path: str, *, directory: bool = False) -> bool:
    inside = False
    for rule in rules:
        if (directory or not rule.directories) and rule.matches.fullmatch(path):
            inside = not rule.back
    return inside


@lru_cache(1024)
def _rule(pattern: str) -> _Rule | None:
    """None for what is no pattern: a blank line or a comment."""
    text = re.sub(r"(?<!\\) +$", "", pattern.rstrip("\r\n"))
    if not text or text.startswith("#"):
        return None
    back, directories = text.startswith("!"), text.endswith("/")
    text = text.removeprefix("!").rstrip("/")
    if not text:
        return None
    written = _translated(text.removeprefix("/"), anchored="/" in text)
    return _Rule(back, directories, re.compile(written, re.DOTALL))


def _translated(text: str, anchored: bool) -> str:
    """Return a regular expression for a whole path; “**” stands for any number of directories."""
    parts, written = text.split("/"), "" if anchored else "(?:.*/)?"
    for place, part in enumerate(parts):
        last = place == len(parts) - 1
        if part == "**" and anchored:
            written += ".+" if last else "(?:.*/)?"
        else:
            written += _segment(part) + ("" if last else "/")
    return written


_TOKEN = re.compile(
    r"\\(?P<escaped>.)|(?P<class>\[[!^]?\]?[^\]/]*\])|(?P<stars>\*+)|(?P<one>\?)|(?P<other>.)",
    re.DOTALL,
)


def _segment(part: str) -> str:
    """Return one name of a path, in which “*” and “?” stand for anything but a slash."""
    written = ""
    for token in _TOKEN.finditer(part):
        if token["stars"]:
            written += "[^/]*"
        elif token["one"]:
            written += "[^/]"
        elif token["class"]:
            inside = token["class"][1:-1].replace("\\", r"\\")
            negated = inside[:1] in ("!", "^")
            members = (inside[1:] if negated else inside).replace("[", r"\[")
            written += f"(?!/)[{'^' if negated else ''}{members}]"
        else:
            written += re.escape(token["escaped"] or token["other"])
    return written
