"""What is asked for an overview: its GraphQL documents, and how a page of it is asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from environments.github.graphql_errors import graphql_error
from environments.github.transport import Transport
from portal.outbound import http
from portal.outbound.http import ApiError
from portal.outbound.parsing import JsonObject, get_path

DOCUMENT = (Path(__file__).parent / "overview.graphql").read_text()
DOING = "read the repository"
PAGE = 100
SMALL_PAGE = 25  # after an answer that took GitHub more than its 10 s
MAX_PAGES = 40
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


def pulls_by_number(numbers: Sequence[int]) -> str:
    return "\n    ".join(
        f"named{number:d}: pullRequest(number: {number:d}) {{ ...Pull ...Merging }}"
        for number in numbers
    )


def document_with(numbers: Sequence[int]) -> str:
    """Return the document with these pull requests in it."""
    asked = pulls_by_number(numbers)
    if asked:
        return DOCUMENT.replace("# named", asked)
    return (
        DOCUMENT[: DOCUMENT.index("# What the merge of one")]
        + DOCUMENT[DOCUMENT.index("fragment Pull on") :]
    )


Asker = Callable[[str | None, bool], tuple[JsonObject, list[object], int | None]]


def asker(transport: Transport, variables: dict[str, object], document: str, pages: Pages) -> Asker:
    most = PAGE if pages.most > 1 else 50  # a page that is read beside the recent ones
    size = most

    def ask(cursor: str | None, first: bool) -> tuple[JsonObject, list[object], int | None]:
        nonlocal size
        asked = variables | {"after": cursor, "first": first, "recent": first and pages.recent}
        text_ = document if first else DOCUMENT_OF_PAGES
        try:
            shy = TOO_SLOW if size == most else frozenset()
            return http.read_again(
                lambda: ask_github(transport, text_, asked | {"pageSize": size}), unless_status=shy
            )
        except ApiError as error:
            if error.status not in TOO_SLOW or size != most:
                raise
        size = SMALL_PAGE
        return http.read_again(lambda: ask_github(transport, text_, asked | {"pageSize": size}))

    return ask


DOCUMENT_OF_PAGES = document_with(())
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


def ask_github(
    transport: Transport, document: str, variables: dict[str, object]
) -> tuple[JsonObject, list[object], int | None]:
    answer = transport.graphql(DOING, document, variables)
    errors = answer.get("errors") or []
    repository = get_path(answer, "data", "repository")
    if not isinstance(repository, dict):
        raise graphql_error(errors, f"{variables['owner']}/{variables['name']}")
    remaining = get_path(answer, "data", "rateLimit", "remaining")
    return repository, errors, remaining if isinstance(remaining, int) else None
