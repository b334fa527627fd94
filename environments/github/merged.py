"""Merged pull requests by number: those that the last hundred do not hold."""

from collections.abc import Sequence

from environments.github.overview_questions import ask_github
from environments.github.pulls import MergedPull, read_merged
from environments.github.transport import SERVICE, Transport
from portal.outbound import http
from portal.outbound.http import ApiError
from portal.outbound.parsing import JsonObject, get_path, quoted, text

MOST = 100  # in one request


def merged_document(numbers: Sequence[int]) -> str:
    """Return the document that reads these pull requests, as `p1`, `p2` and so on by number."""
    selections = "\n".join(
        f"    p{number:d}: pullRequest(number: {number:d}) {{ ...Merged }}" for number in numbers
    )
    return f"""query MergedPulls($owner: String!, $name: String!) {{
  repository(owner: $owner, name: $name) {{
{selections}
  }}
}}
fragment Merged on PullRequest {{
  state
  number
  title
  url
  updatedAt
  author {{ login }}
  baseRefName
  headRefName
  headRefOid
}}
"""


def read_by_number(
    transport: Transport, owner: str, name: str, base: str, numbers: Sequence[int]
) -> tuple[MergedPull, ...]:
    """Return those of `numbers` that are pull requests merged into `base`: one call for every 100.

    A number that belongs to an issue, or to nothing, is left out. Raise `ApiError`.
    """
    pulls: list[MergedPull] = []
    for start in range(0, len(numbers), MOST):
        some = numbers[start : start + MOST]
        document = merged_document(some)
        answer = http.read_again(lambda: _ask(transport, document, owner, name))  # noqa: B023
        nodes = [answer.get(f"p{number}") for number in some]
        pulls += [read_merged(node) for node in nodes if _is_merged(node, base)]
    return tuple(pulls)


def _ask(transport: Transport, document: str, owner: str, name: str) -> JsonObject:
    repository, errors = ask_github(transport, document, {"owner": owner, "name": name})
    # A number that is no pull request is an error of its own beside the others; every other error
    # spoils the answer.
    spoilt = [error for error in errors if text(get_path(error, "type")).upper() != "NOT_FOUND"]
    if spoilt:
        words = quoted(get_path(spoilt[0], "message"))
        sentence = (
            f"GitHub could not read merged pull requests ({words}). The portal asks again later."
        )
        raise ApiError(SERVICE, "unavailable", sentence)
    return repository


def _is_merged(node: object, base: str) -> bool:
    return get_path(node, "state") == "MERGED" and get_path(node, "baseRefName") == base
