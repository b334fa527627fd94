"""An overview while its pages come in, and what is made of them at the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from environments.github.answers import Check, Required
from environments.github.merging import MergeRules, read_merge_rules
from environments.github.pulls import MergedPull, Pull, read_merged, read_pull
from portal.outbound.parsing import Malformed, commit, get_path, text

MOST_PROBLEMS = 20


@dataclass(frozen=True)
class Overview:
    """What a sync pass sees. `complete` False: something is missing, and `problems` says what.

    `named` are the pull requests asked for by number. `listed`: every open pull request into
    staging was seen (`into_listed`: into production); if not, `cursor` is where the next pass goes
    on. `closed` are numbers of those that ended unmerged last. `checks_hidden`: GitHub did not show
    check runs to this credential.
    `full_name` is what the repository is called now. `rules` of a branch None: they could not be
    read.
    """

    staging_head: str | None
    production_head: str | None
    open_pulls: tuple[Pull, ...]
    merged_pulls: tuple[MergedPull, ...]
    promotions: tuple[Pull, ...]
    hotfixes: tuple[Pull, ...]
    required_contexts: dict[str, tuple[Required, ...]]
    rules_readable: bool
    complete: bool
    problems: tuple[str, ...]
    remaining_points: int | None
    named: tuple[Pull, ...] = ()
    listed: bool = True
    into_listed: bool = True
    cursor: str | None = None
    closed: tuple[int, ...] = ()
    checks_hidden: bool = False
    full_name: str = ""
    rules: dict[str, MergeRules | None] = field(default_factory=dict)


@dataclass
class Gathering:
    """The overview while its pages come in."""

    pulls: dict[int, Pull] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    listed: bool = True
    cursor: str | None = None
    checks_hidden: bool = False

    def lacks(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


def note_errors(seen: Gathering, errors: list[object]) -> None:
    """What GitHub did not show.

    Hidden check runs are one thing, however many; a protection that only administrators are shown
    is none: it comes as null.
    """
    for error in errors:
        path = get_path(error, "path")
        parts = {one for one in path if isinstance(one, str)} if isinstance(path, list) else set()
        if parts & {"contexts", "last"}:
            seen.checks_hidden = True
            seen.lacks("GitHub does not show check runs to this credential.")
        elif "branchProtectionRule" not in parts and len(seen.problems) < MOST_PROBLEMS:
            seen.lacks(
                "GitHub did not show everything:"
                f" {text(get_path(error, 'message')) or 'no reason given'}."
            )
            seen.listed = False


def add_pulls(seen: Gathering, page: Mapping[str, object], name: str, errors: bool) -> None:
    for pull in _pulls(seen, get_path(page, name, "nodes"), errors):
        seen.pulls.setdefault(pull.number, pull)


def _pulls(seen: Gathering, nodes: object, errors: bool) -> list[Pull]:
    if not isinstance(nodes, list):
        seen.lacks("GitHub's list of pull requests cannot be read.")
        seen.listed = False
        return []
    found = []
    for node in nodes:
        try:
            pull = read_pull(node, errors=errors)
        except Malformed as error:
            number = get_path(node, "number")
            seen.lacks(
                f"Pull request #{number if isinstance(number, int) else '?'} cannot be read:"
                f" {error}."
            )
            seen.listed = False
            continue
        if pull.checks is None:
            seen.lacks(
                f"The checks of pull request #{pull.number} are not all shown: read them one by"
                " one."
            )
        found.append(pull)
    return found


def finish(
    seen: Gathering,
    first: Mapping[str, object],
    staging: str,
    production: str,
    points: int | None,
    named: tuple[Pull, ...],
    errors: bool,
) -> Overview:
    heads = {branch: _head(seen, first, key, branch) for key, branch in _refs(staging, production)}
    rules = {
        branch: read_merge_rules(get_path(first, key), first)
        for key, branch in _refs(staging, production)
    }
    for branch in heads:
        if rules[branch] is None:
            seen.lacks(
                f"The rules of branch {branch} cannot be read: which checks it requires is not"
                " known."
            )
    wanted = {branch: None if found is None else found.checks for branch, found in rules.items()}
    into = _pulls(seen, get_path(first, "promotions", "nodes"), errors)
    into = [
        _with_required(pull, wanted[production]) for pull in into if pull.base_ref == production
    ]
    promotions = tuple(pull for pull in into if pull.head_ref == staging and not pull.fork)
    return Overview(
        staging_head=heads[staging],
        production_head=heads[production],
        open_pulls=tuple(_with_required(pull, wanted[staging]) for pull in seen.pulls.values()),
        merged_pulls=_merged(seen, get_path(first, "merged", "nodes")),
        promotions=promotions,
        hotfixes=tuple(pull for pull in into if pull not in promotions),
        required_contexts={branch: found or () for branch, found in wanted.items()},
        rules_readable=all(found is not None for found in wanted.values()),
        complete=not seen.problems,
        problems=tuple(seen.problems),
        remaining_points=points,
        named=tuple(_with_required(pull, wanted[production]) for pull in named),
        listed=seen.listed,
        into_listed=not errors
        and get_path(first, "promotions", "pageInfo", "hasNextPage") is False,
        cursor=seen.cursor,
        closed=_closed(get_path(first, "closed", "nodes")),
        checks_hidden=seen.checks_hidden,
        full_name=text(get_path(first, "nameWithOwner")),
        rules=rules,
    )


def _closed(nodes: object) -> tuple[int, ...]:
    """Numbers of those that were closed last; one that cannot be read is left out: it stays as
    it was.
    """
    numbers = (get_path(node, "number") for node in (nodes if isinstance(nodes, list) else []))
    return tuple(
        number for number in numbers if isinstance(number, int) and not isinstance(number, bool)
    )


def _refs(staging: str, production: str) -> list[tuple[str, str]]:
    return [("staging", staging), ("production", production)]


def _head(seen: Gathering, first: Mapping[str, object], key: str, branch: str) -> str | None:
    head = commit(get_path(first, key, "target", "oid"))
    if head is None:
        missing = key in first and first[key] is None
        seen.lacks(
            f"Branch {branch} {'does not exist' if missing else 'cannot be read'} on GitHub."
        )
    return head


def _with_required(pull: Pull, rules: tuple[Required, ...] | None) -> Pull:
    if pull.checks is None or rules is None:
        return pull
    return replace(pull, checks=tuple(mark_required(check, rules) for check in pull.checks))


def mark_required(check: Check, rules: tuple[Required, ...]) -> Check:
    """`check`, saying whether one of `rules` asks for it."""
    asked = any(
        rule.context == check.name and rule.app_id in (None, -1, check.app_id) for rule in rules
    )
    return replace(check, required=asked)


def _merged(seen: Gathering, nodes: object) -> tuple[MergedPull, ...]:
    found = []
    for node in nodes if isinstance(nodes, list) else [None]:
        try:
            found.append(read_merged(node))
        except Malformed as error:
            seen.lacks(f"A merged pull request cannot be read: {error}.")
    return tuple(found)
