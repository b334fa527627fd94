"""The pull requests of an overview, gathered page by page, with what could not be read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from environments.github.pulls import MergedPull, Pull, read_merged, read_named, read_pull
from portal.outbound.parsing import Malformed, get_path, quoted
from portal.outbound.parsing import field as need

MOST_PROBLEMS = 20


@dataclass
class Gathering:
    """The overview while its pages come in."""

    pulls: dict[int, Pull] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    listed: bool = True
    cursor: str | None = None

    def lacks(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


def read_named_pulls(
    seen: Gathering, first: Mapping[str, object], numbers: Sequence[int], errors: bool
) -> tuple[Pull, ...]:
    pulls = []
    for number in numbers:
        try:
            pull = read_named(first.get(f"named{number}"), errors=errors)
            if pull.number != number:
                raise Malformed("it is another one")
            pulls.append(pull)
        except Malformed as error:
            seen.lacks(f"Pull request #{number} cannot be read: {error}.")
    return tuple(pulls)


def note_errors(seen: Gathering, errors: list[object]) -> None:
    """Note what GitHub did not show.

    Hidden check runs are one thing, however many; a protection that only administrators are shown
    is none: it comes as null. Branches that GitHub cannot compare are compared in git.
    """
    for error in errors:
        path = get_path(error, "path")
        parts = (
            {part for part in path if isinstance(part, str)} if isinstance(path, list) else set()
        )
        if parts & {"contexts", "last"}:
            seen.lacks("GitHub does not show check runs to this credential.")
        elif not parts & {"branchProtectionRule", "compare"} and len(seen.problems) < MOST_PROBLEMS:
            seen.lacks(
                "GitHub did not show everything:"
                f" {quoted(get_path(error, 'message')) or 'no reason given'}."
            )
            seen.listed = False


def add_pulls(seen: Gathering, page: Mapping[str, object], name: str, errors: bool) -> None:
    for pull in read_pulls(seen, get_path(page, name, "nodes"), errors):
        seen.pulls.setdefault(pull.number, pull)


def read_pulls(seen: Gathering, nodes: object, errors: bool) -> list[Pull]:
    if not isinstance(nodes, list):
        seen.lacks("GitHub's list of pull requests cannot be read.")
        seen.listed = False
        return []
    pulls = []
    for node in nodes:
        try:
            pull = read_pull(node, errors=errors)
        except Malformed as error:
            number = get_path(node, "number")
            shown = number if isinstance(number, int) else "?"
            seen.lacks(f"Pull request #{shown} cannot be read: {error}.")
            seen.listed = False
            continue
        if pull.checks is None:
            which = f"The checks of pull request #{pull.number}"
            seen.lacks(f"{which} are not all shown: read them one by one.")
        pulls.append(pull)
    return pulls


def next_cursor(page: Mapping[str, object], seen: Gathering) -> str | None:
    try:
        info = need(need(page, "open", dict), "pageInfo", dict)
        if not need(info, "hasNextPage", bool):
            return None
        if cursor := need(info, "endCursor", str):
            return cursor
        raise Malformed("endCursor is empty")
    except Malformed:
        seen.lacks("GitHub does not say whether there are more pull requests.")
        seen.listed = False
        return None


def read_merged_pulls(seen: Gathering, nodes: object) -> tuple[MergedPull, ...]:
    pulls = []
    for node in nodes if isinstance(nodes, list) else [None]:
        try:
            pulls.append(read_merged(node))
        except Malformed as error:
            seen.lacks(f"A merged pull request cannot be read: {error}.")
    return tuple(pulls)
