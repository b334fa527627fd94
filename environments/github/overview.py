"""One repository in a few calls: branches, rules, pull requests and their checks, by one GraphQL
document.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from environments.github.gathering import Gathering, Overview, add_pulls, finish, note_errors
from environments.github.pulls import Pull, read_named
from environments.github.transport import SERVICE, Transport
from portal.outbound import http
from portal.outbound.http import ApiError
from portal.outbound.parsing import JsonObject, Malformed, get_path, text
from portal.outbound.parsing import field as need

DOCUMENT = (Path(__file__).parent / "overview.graphql").read_text()
DOING = "read the repository"
PAGE = 100
SMALL_PAGE = 25  # after an answer that took GitHub more than its 10 s
MAX_PAGES = 40
MOST_NAMED = 10
TOO_SLOW = frozenset({502, 504})


@dataclass(frozen=True)
class Pages:
    """Which pages of open pull requests are read: all from the start, or `most` more from
    `cursor` on.
    """

    cursor: str | None = None
    most: int = MAX_PAGES
    recent: bool = False


EVERYTHING = Pages()


def read_overview(
    transport: Transport,
    owner: str,
    name: str,
    staging: str,
    production: str,
    numbers: Sequence[int] = (),
    pages: Pages = EVERYTHING,
) -> Overview:
    """The overview of `owner/name`: one call per 100 open pull requests. Raises `ApiError`."""
    seen = Gathering()
    variables: dict[str, object] = {
        "owner": owner,
        "name": name,
        "staging": staging,
        "stagingRef": f"refs/heads/{staging}",
        "production": production,
        "productionRef": f"refs/heads/{production}",
    }
    numbers = tuple(dict.fromkeys(numbers))[:MOST_NAMED]
    ask = _asker(transport, variables, _document(numbers), pages)
    first, errors, points = ask(pages.cursor, True)
    note_errors(seen, errors)
    _read_pages(seen, ask, first, errors, pages)
    if pages.recent:
        add_pulls(seen, first, "recent", bool(errors))
    named = _named(seen, first, numbers, bool(errors))
    return finish(seen, first, staging, production, points, named, bool(errors))


def read_merge(
    transport: Transport, owner: str, name: str, staging: str, production: str, number: int
) -> Overview:
    """Both branches with what a merge into them takes, and one pull request by its number.

    Raises `ApiError`.
    """
    seen = Gathering(listed=False)
    variables: dict[str, object] = {
        "owner": owner,
        "name": name,
        "stagingRef": f"refs/heads/{staging}",
        "productionRef": f"refs/heads/{production}",
    }
    document = MERGE_DOCUMENT.replace("# named", _asked((number,)))
    first, errors, points = http.read_again(lambda: _ask(transport, document, variables))
    note_errors(seen, errors)
    named = _named(seen, first, (number,), bool(errors))
    return finish(seen, first, staging, production, points, named, bool(errors))


def _asked(numbers: Sequence[int]) -> str:
    return "\n    ".join(
        f"named{number:d}: pullRequest(number: {number:d}) {{ ...Pull ...Merging }}"
        for number in numbers
    )


def _document(numbers: Sequence[int]) -> str:
    """The document with these pull requests in it."""
    asked = _asked(numbers)
    if asked:
        return DOCUMENT.replace("# named", asked)
    return (
        DOCUMENT[: DOCUMENT.index("# What the merge of one")]
        + DOCUMENT[DOCUMENT.index("fragment Pull on") :]
    )


def _read_pages(
    seen: Gathering, ask: "Asker", page: Mapping[str, object], errors: list[object], pages: Pages
) -> None:
    """Takes up the open pull requests of the first page and of those after it, as many as are
    wanted.
    """
    cursors: set[str] = set()
    for read in range(pages.most):
        add_pulls(seen, page, "open", bool(errors))
        seen.cursor = cursor = _next(page, seen)
        if cursor is None:
            break
        if cursor in cursors:
            seen.lacks("GitHub repeats pages of pull requests, so some may be missing.")
            break
        cursors.add(cursor)
        if read + 1 == pages.most:
            break
        page, errors, _ = ask(cursor, False)
        note_errors(seen, errors)
    if pages.cursor is not None or seen.cursor is not None:
        seen.listed = False
    if seen.cursor is not None and pages.most == MAX_PAGES:
        seen.lacks(
            f"There are more than {MAX_PAGES * SMALL_PAGE} open pull requests: the oldest are not"
            " read."
        )


def _named(
    seen: Gathering, first: Mapping[str, object], numbers: Sequence[int], errors: bool
) -> tuple[Pull, ...]:
    found = []
    for number in numbers:
        try:
            pull = read_named(first.get(f"named{number}"), errors=errors)
            if pull.number != number:
                raise Malformed("it is another one")
            found.append(pull)
        except Malformed as error:
            seen.lacks(f"Pull request #{number} cannot be read: {error}.")
    return tuple(found)


Asker = Callable[[str | None, bool], tuple[JsonObject, list[object], int | None]]


def _asker(
    transport: Transport, variables: dict[str, object], document: str, pages: Pages
) -> Asker:
    most = PAGE if pages.most > 1 else 50  # a page that is read beside the recent ones
    size = most

    def ask(cursor: str | None, first: bool) -> tuple[JsonObject, list[object], int | None]:
        nonlocal size
        asked = variables | {"after": cursor, "first": first, "recent": first and pages.recent}
        text_ = document if first else DOCUMENT_OF_PAGES
        try:
            shy = TOO_SLOW if size == most else frozenset()
            return http.read_again(
                lambda: _ask(transport, text_, asked | {"pageSize": size}), unless_status=shy
            )
        except ApiError as error:
            if error.status not in TOO_SLOW or size != most:
                raise
        size = SMALL_PAGE
        return http.read_again(lambda: _ask(transport, text_, asked | {"pageSize": size}))

    return ask


DOCUMENT_OF_PAGES = _document(())
MERGE_DOCUMENT = """query Merge($owner: String!, $name: String!, $stagingRef: String!,
  $productionRef: String!) {
  rateLimit { remaining }
  repository(owner: $owner, name: $name) {
    nameWithOwner
    mergeCommitAllowed
    squashMergeAllowed
    rebaseMergeAllowed
    deleteBranchOnMerge
    # named
    staging: ref(qualifiedName: $stagingRef) { ...Branch }
    production: ref(qualifiedName: $productionRef) { ...Branch }
  }
}
""" + DOCUMENT[DOCUMENT.index("fragment Branch on") :]


def _ask(
    transport: Transport, document: str, variables: dict[str, object]
) -> tuple[JsonObject, list[object], int | None]:
    answer = transport.graphql(DOING, document, variables)
    errors = answer.get("errors") or []
    repository = get_path(answer, "data", "repository")
    if not isinstance(repository, dict):
        raise graphql_error(errors, f"{variables['owner']}/{variables['name']}")
    remaining = get_path(answer, "data", "rateLimit", "remaining")
    return repository, errors, remaining if isinstance(remaining, int) else None


def graphql_error(errors: list[object], repository: str) -> ApiError:
    """What an answer without the repository means."""
    first = errors[0] if errors else {}
    words, kind = (
        text(get_path(first, "message")),
        text(get_path(first, "type")) or text(get_path(first, "extensions", "code")),
    )
    if kind.upper() in {"RATE_LIMITED", "RATE_LIMIT"} or "rate limit" in words.lower():
        sentence = "GitHub's request limit is used up: the portal waits for the next hour."
        return ApiError(
            SERVICE, "rate_limited", sentence, status=200, retry_after=60.0, detail=words
        )
    if kind.upper() == "NOT_FOUND":
        sentence = (
            f"GitHub shows no repository {repository} to the token: check its name and the token's"
            " access."
        )
        return ApiError(SERVICE, "not_found", sentence, status=200, detail=words)
    if kind.upper() in {"FORBIDDEN", "INSUFFICIENT_SCOPES"}:
        sentence = (
            f"GitHub does not let the token read {repository} ({words}): give it that permission."
        )
        return ApiError(SERVICE, "forbidden", sentence, status=200, detail=words)
    if kind in {"undefinedField", "argumentNotAccepted", "missingRequiredArguments"}:
        sentence = (
            f"GitHub no longer knows a field the portal asks for ({words}): the portal needs an"
            " update."
        )
        return ApiError(SERVICE, "outdated", sentence, status=200, detail=words)
    if words:
        sentence = f"GitHub could not answer ({words}). The portal asks again later."
        status = 504 if "timeout" in words.lower() else 200  # its own time limit, wrapped in a 200
        return ApiError(SERVICE, "unavailable", sentence, status=status, detail=words)
    return http.malformed(SERVICE, "no repository in it", 200)


def _next(page: Mapping[str, object], seen: Gathering) -> str | None:
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
