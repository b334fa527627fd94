"""What is asked for an overview: its GraphQL documents, and how a page of it is asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from environments.github.refusals import LIMITED
from environments.github.transport import SERVICE, Transport
from portal.outbound import http
from portal.outbound.http import ApiError
from portal.outbound.parsing import JsonObject, get_path, quoted, text

DOCUMENT = (Path(__file__).parent / "overview.graphql").read_text()
PAGE = 100
SMALL_PAGE = 25  # after an answer that took GitHub more than its 10 s
MAX_PAGES = 40
TOO_SLOW = frozenset({502, 504})


@dataclass(frozen=True)
class Pages:
    """Which open pull requests are read: all, or `most` more pages from `cursor` on."""

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
    selections = pulls_by_number(numbers)
    if selections:
        return DOCUMENT.replace("# named", selections)
    return (
        DOCUMENT[: DOCUMENT.index("# What the merge of one")]
        + DOCUMENT[DOCUMENT.index("fragment Pull on") :]
    )


# The repository, and GitHub's errors beside it.
Answer = tuple[JsonObject, list[object]]
Asker = Callable[[str | None, bool], Answer]


def asker(transport: Transport, variables: dict[str, object], document: str, pages: Pages) -> Asker:
    most = PAGE if pages.most > 1 else 50  # a page that is read beside the recent ones
    size = most

    def ask(cursor: str | None, first: bool) -> Answer:
        nonlocal size
        variables_of_page = variables | {
            "after": cursor,
            "first": first,
            "recent": first and pages.recent,
        }
        text_ = document if first else DOCUMENT_OF_PAGES
        try:
            shy = TOO_SLOW if size == most else frozenset()
            return http.read_again(
                lambda: ask_github(transport, text_, variables_of_page | {"pageSize": size}),
                unless_status=shy,
            )
        except ApiError as error:
            if error.status not in TOO_SLOW or size != most:
                raise
        size = SMALL_PAGE
        return http.read_again(
            lambda: ask_github(transport, text_, variables_of_page | {"pageSize": size})
        )

    return ask


DOCUMENT_OF_PAGES = document_with(())
MERGE_DOCUMENT = """query Merge($owner: String!, $name: String!, $stagingRef: String!,
  $productionRef: String!) {
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


def ask_github(transport: Transport, document: str, variables: dict[str, object]) -> Answer:
    answer = transport.graphql("read the repository", document, variables)
    errors = answer.get("errors") or []
    repository = get_path(answer, "data", "repository")
    if not isinstance(repository, dict):
        raise _without_repository(errors, f"{variables['owner']}/{variables['name']}")
    return repository, errors


def _without_repository(errors: list[object], repository: str) -> ApiError:
    """Return what an answer without the repository means."""
    first = errors[0] if errors else {}
    words = quoted(get_path(first, "message"))
    kind = text(get_path(first, "type")) or text(get_path(first, "extensions", "code"))

    def error(kind: http.Kind, sentence: str, status: int = 200) -> ApiError:
        wait = 60.0 if kind == "rate_limited" else None
        return ApiError(SERVICE, kind, sentence, status=status, retry_after=wait, detail=words)

    if kind.upper() in {"RATE_LIMITED", "RATE_LIMIT"} or "rate limit" in words.lower():
        return error("rate_limited", LIMITED)
    if kind.upper() == "NOT_FOUND":
        return error(
            "not_found",
            f"GitHub shows no repository {repository} to the token: check its name and the token's"
            " access.",
        )
    if kind.upper() in {"FORBIDDEN", "INSUFFICIENT_SCOPES"}:
        return error(
            "forbidden",
            f"GitHub does not let the token read {repository} ({words}): give it that permission.",
        )
    if kind in {"undefinedField", "argumentNotAccepted", "missingRequiredArguments"}:
        return error(
            "outdated",
            f"GitHub no longer knows a field the portal asks for ({words}): the portal needs an"
            " update.",
        )
    if words:
        status = 504 if "timeout" in words.lower() else 200  # its own time limit, wrapped in a 200
        sentence = f"GitHub could not answer ({words}). The portal asks again later."
        return error("unavailable", sentence, status)
    return http.malformed(SERVICE, "no repository in it", 200)
