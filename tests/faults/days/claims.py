"""What sentences say, put as questions to the world: a claim is a pattern and what must be so.

A claim gets the match, the line and the truth, and returns what is untrue about it, or "".
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.days.page import Line, Node, mark_of, shas
from tests.faults.days.truth import SERVICES, Truth

BRANCH = r"(?P<branch>staging|main)"
WHO = "(?:backend|frontend)"
SHA = r"(?P<sha>[0-9a-f]{7})\b"
KINDS = {"Staging": "staging", "Production": "production"}
PAST = ("timeline", "task-log", "notes", "ships")  # regions that tell what was, not what is


@dataclass(frozen=True)
class Claim:
    """One kind of sentence."""

    pattern: re.Pattern[str]
    judge: Callable[[re.Match[str], Line, Truth], str]


def _no(what: str) -> Callable[[re.Match[str], Line, Truth], str]:
    return lambda match, line, truth: what


def _at(match: re.Match[str], line: Line, truth: Truth) -> str:
    head = truth.head(match["branch"])
    return "" if head.startswith(match["sha"]) else f"{match['branch']} is at {head[:7]}"


def _equal(match: re.Match[str], line: Line, truth: Truth) -> str:
    if line.mark != "pass" and line.text == match[0]:
        return ""  # the name of a checklist item
    return "" if truth.same_files or truth.branches == "equal" else f"they are {truth.branches}"


def _relation(match: re.Match[str], line: Line, truth: Truth) -> str:
    word = "diverged" if "diverged" in match[0] else "ahead"
    return "" if truth.branches == word else f"staging is {truth.branches}"


def _nothing_to_release(match: re.Match[str], line: Line, truth: Truth) -> str:
    if not truth.same_files:
        return "the branches hold different files"
    back = not truth.everywhere("production", truth.head("main"))
    return "production does not serve main" if back and line.mark == "pass" else ""


def _production_runs(match: re.Match[str], line: Line, truth: Truth) -> str:
    commit = truth.release.merge_commit if truth.release else ""
    return "" if truth.everywhere("production", commit) else "production serves something else"


def _serves(match: re.Match[str], line: Line, truth: Truth) -> str:
    for service in re.findall(r"backend|frontend", match["who"]):
        kind = "staging" if "staging" in line.text[: match.end()] else "production"
        live = truth.live(service, kind)
        if not live.startswith(match["sha"]):
            return f"{service} serves {live[:7]} in {kind}"
    return ""


def _pull(match: re.Match[str], line: Line, truth: Truth) -> str:
    state = truth.pull(int(match["number"]))
    return "" if state == match["state"] else f"it is {state}"


def _not_merged(match: re.Match[str], line: Line, truth: Truth) -> str:
    number = truth.release.pull_number if truth.release else None
    return "it was merged" if number and truth.pull(number) == "merged" else ""


def _no_migrations(match: re.Match[str], line: Line, truth: Truth) -> str:
    release = truth.release
    if release is None:
        return ""
    count = truth.new_migrations(release.base, release.candidate)
    return f"it brings {count}" if count else ""


def _reading(match: re.Match[str], line: Line, truth: Truth) -> str:
    return f"it is marked {line.mark}" if line.mark in ("pass", "fail") else ""


def _no_deployment(match: re.Match[str], line: Line, truth: Truth) -> str:
    moving = any(truth.moves(one, kind) for one in SERVICES for kind in KINDS.values())
    return "a deployment is under way" if moving and line.mark == "fail" else ""


def _may_be_merged(match: re.Match[str], line: Line, truth: Truth) -> str:
    refusal = truth.refused_merge()
    return f"GitHub would refuse: {refusal}" if refusal else ""


def _merged_as(match: re.Match[str], line: Line, truth: Truth) -> str:
    git = truth.world.github.git
    commit = git.resolve(match["sha"]) or ""
    return "" if truth.holds("main", commit) else "main does not hold it"


def _known(match: re.Match[str], line: Line, truth: Truth) -> str:
    return "" if truth.world.github.git.resolve(match["sha"]) else "git knows no such commit"


def _went_back(match: re.Match[str], line: Line, truth: Truth) -> str:
    served = {truth.live(service, "production") for service in SERVICES}
    return "production serves main" if served == {truth.head("main")} else ""


CLAIMS = [
    Claim(re.compile(pattern), judge)
    for pattern, judge in (
        (rf"\b{BRANCH}(?: is| stands)?(?: still)? at {SHA}", _at),
        (rf"\b{BRANCH} (?:still )?holds? {SHA}", _at),
        (r"\b[Ss]taging (?:equals|matches) (?:main|production)\b", _equal),
        (r"[Nn]othing to release|Staging matches production", _nothing_to_release),
        (r"ahead of main|diverged from main|have diverged", _relation),
        (
            r"[Pp]roduction runs (?:it|this release)\b|This release is in production",
            _production_runs,
        ),
        (rf"(?P<who>{WHO}[^.;]{{0,40}}?) serves? (?:the merge commit )?{SHA}", _serves),
        (r"#(?P<number>\d+) is (?P<state>open|closed|merged)\b", _pull),
        (r"[Nn]othing was merged", _not_merged),
        (r"brings no migrations?|no revisions", _no_migrations),
        (r"[Bb]eing read\b|\bReading\b|[Nn]ot read yet|Loading ", _reading),
        (r"[Nn]o deployment\b", _no_deployment),
        (r"can go to production|[Rr]eady to promote$", _may_be_merged),
        (r"Validation Failed|Traceback|[A-Z]\w+Error\b|Exception\b", _no("a raw error")),
        (r"\b(?:to|at|of|by|from|is) \.|\(\)|: \.|“”", _no("a sentence with a hole")),
    )
]


# What the trail says happened, which stays so.
EVENTS = [
    Claim(re.compile(pattern), judge)
    for pattern, judge in (
        (rf"merged as {SHA}", _merged_as),
        (rf"\b{SHA}", _known),
        (r"runs? the deployment before", _went_back),
        (r"Validation Failed|Traceback", _no("a raw error")),
    )
]


@dataclass(frozen=True)
class Verdict:
    """A sentence that was held against the world, and what is untrue about it ("": nothing)."""

    line: str
    untrue: str


def _is_past(line: Line, truth: Truth) -> bool:
    """Whether the line tells of an earlier moment, and says when: a record is not about now."""
    merged = truth.release is not None and bool(truth.release.merge_commit)
    outer = list(line.node.up())
    done = any({"step", "done"} <= set(one.classes) for one in outer)
    under = {one.attributes.get("id", "") for one in outer}
    asked = any(one.tag in ("details", "form", "dialog") for one in outer)
    ended = truth.release is not None and truth.release.ended_at is not None
    record = (merged and "before" in under) or (ended and "after" in under)
    return done or asked or bool(under & set(PAST)) or record


def judge(lines: list[Line], truth: Truth) -> list[Verdict]:
    """Every claim in these lines, and whether it is so."""
    found = []
    for line in lines:
        if _is_past(line, truth):
            continue
        for claim in CLAIMS:
            for match in claim.pattern.finditer(line.text):
                found.append(Verdict(line.text, claim.judge(match, line, truth)))
    return found


def trail(page: Node, truth: Truth) -> list[Verdict]:
    """Every claim in the sentences of the audit trail, and whether it was so."""
    found = []
    for event in page.all("summary"):
        line = Line(event.text, mark_of(event), "audit", event)
        for claim in EVENTS:
            for match in claim.pattern.finditer(line.text):
                found.append(Verdict(line.text, claim.judge(match, line, truth)))
    return found


def servings(page: Node, truth: Truth) -> list[Verdict]:
    """What the board, the table of a release and the matrix say that each service serves."""
    found = []
    for lane in page.all("div", css="lane"):
        title = lane.first("h3")
        kind = KINDS.get(title.text if title else "", "")
        for row in lane.all("p") if kind else ():
            for service in SERVICES:
                if service in row.text:
                    found.append(_cell(service, kind, row, truth))
    for table in page.all("table"):
        found += _table(table, truth)
    return found


def _table(table: Node, truth: Truth) -> list[Verdict]:
    heads = [one.text.split()[0] if one.text else "" for one in table.all("th") if one.parent]
    rows = [row for row in table.all("tr") if row.elements and row.elements[0].tag == "th"]
    columns = heads[: len(rows[0].elements)] if rows else []
    found = []
    for row in rows[1:]:
        service = row.elements[0].text.split()[0]
        for column, cell in zip(columns[1:], row.elements[1:], strict=False):
            kind = column.lower()
            if service in SERVICES and kind in KINDS.values() and cell.text != "–":
                found.append(_cell(service, kind, cell, truth))
            elif service == "database" and kind in KINDS.values() and shas(cell) == [""]:
                found.append(_revisions(kind, cell, truth))
    return found


def _cell(service: str, kind: str, cell: Node, truth: Truth) -> Verdict:
    live, shown, mark = truth.live(service, kind), shas(cell)[:1], mark_of(cell)
    said = f"{service} in {kind}: {mark} {cell.text}"
    untrue = ""
    old = "last seen" in cell.text or "could not be read lately" in cell.text
    if shown and shown[0] and shown[0] != live and not old:
        untrue = f"it serves {live[:7] or 'nothing'}"
    elif mark == "pass" and (not shown or shown[0] != live):
        untrue = f"marked passed, but it serves {live[:7] or 'nothing'}"
    elif mark == "fail" and truth.moves(service, kind):
        untrue = "marked failed, but it is being deployed"
    elif mark == "pass" and truth.latest(service, kind) in ("FAILED", "CRASHED"):
        untrue = f"marked passed, but its newest deployment {truth.latest(service, kind)}"
    return Verdict(said, untrue)


def _revisions(kind: str, cell: Node, truth: Truth) -> Verdict:
    shown = cell.first("code", css="sha")
    now = ", ".join(truth.revisions(kind)) or "empty"
    said = f"database in {kind}: {cell.text}"
    same = shown is not None and shown.text == now
    return Verdict(said, "" if same else f"it is at {now}")


def green_above_a_failure(page: Node, truth: Truth) -> list[Verdict]:
    """On a release's page: no pill or mark at the top says passed while something failed below."""
    top = [one for one in page.all() if one.attributes.get("id") in ("head", "now")]
    below = [one for one in page.all("li") if "failed" in one.classes]
    if not top or not below:
        return []
    green = [
        mark.text
        for part in top
        for mark in part.all("span")
        if {"mark", "pill"} & set(mark.classes) and "pass" in mark.classes
    ]
    said = f"failed: {below[0].text[:60]}"
    return [Verdict(said, f"green above it: {green[0]}" if green else "")]
