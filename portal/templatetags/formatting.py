"""How moments, commits, states and addresses are written on every page."""

import functools
import itertools
import json
import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta, tzinfo
from urllib.parse import urlsplit

from django import template
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString
from pygments import lex
from pygments.lexers.sql import PostgresLexer
from pygments.token import Comment, Keyword, Name, Number, String

from portal.outbound.pages import commit_page, pull_page

register = template.Library()

MARKS = {
    "pass": "✓",
    "wait": "◔",
    "fail": "✕",
    "attest": "✎",
    "active": "◔",
    "closed": "○",
    "skipped": "–",
}
WORDS = {
    "pass": "passed",
    "wait": "waiting",
    "fail": "failed",
    "attest": "needs sign-off",
    "active": "running",
    "closed": "not open yet",
    "skipped": "skipped",
}
# Job and step statuses, audit outcomes and gate states in the four states that have a mark and a
# colour.
STATES = {
    "succeeded": "pass",
    "done": "pass",
    "pass": "pass",
    "queued": "wait",
    "running": "wait",
    "waiting": "wait",
    "active": "wait",
    "pending": "wait",
    "promoting": "wait",
    "open": "wait",
    "verifying": "wait",
    "failed": "fail",
    "fail": "fail",
    "refused": "fail",
    "needs_person": "fail",
    "found": "attest",
    "attest": "attest",
    "cancelled": "skipped",
    "abandoned": "skipped",
    "rolled_back": "skipped",
    "skipped": "skipped",
    "live": "pass",
    "asking": "attest",
    "blocked": "fail",
    "gone": "skipped",
    "ok": "pass",
    "unknown": "skipped",
    "warning": "wait",
    "failing": "fail",
}


@register.filter
def state(status: str) -> str:
    """Return the state (pass, wait, fail, attest, skipped) that a status of any kind stands for."""
    return STATES.get(status, "wait")


@register.simple_tag
@functools.cache
def mark(of: str) -> SafeString:
    """Return the mark of a state, with its word for those who do not see it."""
    kind = of if of in MARKS else STATES.get(of, "wait")
    return format_html(
        '<span class="mark {}" title="{}"><span aria-hidden="true">{}</span><span'
        ' class="unseen">{}: </span></span>',
        kind,
        WORDS[kind],
        MARKS[kind],
        WORDS[kind],
    )


@register.simple_tag
def pill(of: str, words: str = "") -> SafeString:
    """Return a status as mark, word and colour; `words` default to the state's own."""
    kind = of if of in MARKS else STATES.get(of, "wait")
    return format_html(
        '<span class="pill {}"><span aria-hidden="true">{}</span> {}</span>',
        kind,
        MARKS[kind],
        words or WORDS[kind],
    )


@register.filter
@functools.lru_cache(4096)
def sha(commit: str | None, repository: str = "") -> SafeString | str:
    """Return a commit or digest in short form, whole in its title; with `repository` it leads to
    GitHub's page of the commit.
    """
    if not commit:
        return format_html('<span class="muted">{}</span>', "unknown")
    short = format_html('<code class="sha" title="{}">{}</code>', commit, commit[:7])
    address = commit_page(repository, commit)
    if not href(address):
        return short
    return format_html('<a href="{}" rel="noopener noreferrer">{}</a>', address, short)


# A commit in short form has letters and digits; a count has no letters and a word no digits.
_THINGS = re.compile(
    r"(?<![\w#/.@-])(?=\d*[a-f])(?=[a-f]*\d)(?P<commit>[0-9a-f]{7})(?![\w@/-])"
    r"|(?<=[Pp]ull request )#(?P<pull>\d{1,9})\b"
)


@register.filter
@functools.lru_cache(4096)
def linked(sentence: object, repository: str) -> SafeString:
    """Return a sentence in which each commit and pull request leads to GitHub's page of it."""
    text, parts, done = str(sentence), [], 0
    for match in _THINGS.finditer(text):
        commit, number = match["commit"], match["pull"]
        page = commit_page(repository, commit) if commit else pull_page(repository, int(number))
        if not href(page):
            continue
        parts.append(escape(text[done : match.start()]))
        link = '<a class="thing" href="{}" rel="noopener noreferrer">{}</a>'
        parts.append(format_html(link, page, match[0]))
        done = match.end()
    return SafeString("".join([*parts, escape(text[done:])]))


@register.simple_tag
def ago(moment: datetime | None, never: str = "never") -> SafeString | str:
    """Return how long ago `moment` was, as a `<time>` that the page keeps up to date."""
    if moment is None:
        return never
    words = age_words((timezone.now() - moment).total_seconds())
    return SafeString(
        f"<time {_stamp(moment, timezone.get_current_timezone())[0]} data-age>{words}</time>"
    )


@register.simple_tag
def clock(moment: datetime | None) -> SafeString | str:
    """Return the time of day, or day and time when that was not today, as a `<time>`."""
    if moment is None:
        return ""
    stamp, day, time = _stamp(moment, timezone.get_current_timezone())
    return SafeString(
        "<time"
        f" {stamp}>{time if day == timezone.localdate() else f'{day.day} {day:%b} {time}'}</time>"
    )


@functools.lru_cache(8192)
def _stamp(moment: datetime, zone: tzinfo) -> tuple[str, date, str]:
    """Return the attributes of a `<time>`, the day and the time of day: a page holds a hundred, and
    every poll the same.
    """
    local = moment.astimezone(zone)
    message = (
        f'datetime="{local.isoformat(timespec="seconds")}" title="{local:%Y-%m-%d %H:%M:%S %Z}"'
    )
    return message, local.date(), f"{local:%H:%M}"


def age_words(seconds: float) -> str:
    """Return “8 s ago”, “5 min ago”, “2 h ago”, “3 days ago”; portal.js says the same."""
    if seconds < 1:
        return "just now"
    for size, unit in ((86400, "day"), (3600, "h"), (60, "min"), (1, "s")):
        count = int(seconds // size)
        if count:
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''} ago"
    return "just now"


@register.filter
def seconds(value: float | timedelta | None) -> str:
    """Return a duration in seconds (number or timedelta) as people say it: “0.4 s”, “12 s”, “3 min
    20 s”.
    """
    if value is None:
        return ""
    total = float(value.total_seconds() if isinstance(value, timedelta) else value)
    if total < 10:
        return f"{total:.1f} s"
    return f"{total:.0f} s" if total < 90 else f"{int(total // 60)} min {int(total % 60)} s"


@register.filter
def href(address: object) -> str:
    """Return `address` if it is an http or https address, or a path of this site; else the empty
    string.
    """
    if not isinstance(address, str):
        return ""
    if address.startswith("/") and not address.startswith(("//", "/\\")):
        return address
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return (
        address
        if parts.scheme in ("http", "https") and parts.hostname and not parts.username
        else ""
    )


@register.filter
def listed(values: Iterable[object] | None, nothing: str = "nothing") -> str:
    """Return “a, b, c”, or `nothing`."""
    return ", ".join(str(value) for value in values) if values else nothing


@register.filter
def spoken(action: str) -> str:
    """Return an event's action in words: “checklist.ticked” is “checklist ticked”."""
    return action.replace(".", " ").replace("_", " ")


@register.filter
def pretty(data: object, limit: int = 4000) -> str:
    """Return JSON for people, cut at `limit` characters with a word that it was cut."""
    text = json.dumps(data, indent=2, ensure_ascii=False, sort_keys=True, default=str)
    return (
        text if len(text) <= limit else f"{text[:limit]}\n… cut here; {len(text)} characters in all"
    )


_SQL = PostgresLexer(stripnl=False, ensurenl=False)
# Pygments' kinds of tokens, and the classes that portal.css colours.
_COLOURS = {Keyword: "w", Name.Builtin: "w", String: "s", Number: "n", Comment: "c"}


def _colour(token: tuple[object, str]) -> str:
    return next((name for kind, name in _COLOURS.items() if token[0] in kind), "")


@register.filter
@functools.lru_cache(512)
def sql(text: str) -> SafeString:
    """Return SQL with its key words, strings, numbers and comments marked by classes; everything
    else as it stands.
    """
    parts = []
    for colour, tokens in itertools.groupby(lex(text, _SQL), _colour):
        piece = escape("".join(value for _, value in tokens))
        parts.append(f'<span class="sql-{colour}">{piece}</span>' if colour else piece)
    return SafeString("".join(parts))


@register.filter
def preview_mark(status: str) -> str:
    """Return the state of a service by Railway's word for its deployment, in lower case."""
    if status in ("success", "sleeping"):
        return "pass"
    return "fail" if status in ("failed", "crashed", "removed", "skipped") else "wait"


@register.filter
def address(url: str) -> str:
    """Return the host of an address, as people read it."""
    return urlsplit(url).netloc
