"""Merged pull requests asked for by number: all that are, none that are not, and no answer is no
answer.
"""

from pathlib import Path

import pytest
import stamina
from graphql import build_schema, parse, validate

from environments.github import GitHub, Recent
from environments.github.merged import MOST, merged_document
from portal.outbound.http import ApiError
from portal.sandbox.server import Response, Server

SCHEMA = Path(__file__).resolve().parents[2] / "portal/sandbox/github/schema.graphql"


def pull(number: int, **other) -> dict:
    node = {
        "state": "MERGED",
        "number": number,
        "title": "x",
        "url": "https://github.test/1",
        "updatedAt": None,
    }
    node |= {
        "author": None,
        "baseRefName": "staging",
        "headRefName": "topic",
        "headRefOid": "a" * 40,
    }
    return node | other


@pytest.fixture
def server():
    with stamina.set_testing(True, attempts=2, cap=True):
        server = Server(lambda request: Response(200, {})).start()
        yield server
        server.stop()


@pytest.fixture
def github(server):
    return GitHub("acme/inspector", api_url=server.url, token="t", kept=Recent())


def answered(server, nodes: dict, *errors: dict) -> None:
    server.app = lambda request: Response(
        200, {"data": {"repository": nodes}, "errors": list(errors)}
    )


def test_only_what_was_merged_into_the_branch_comes_back_and_a_number_of_an_issue_is_no_fault(
    server, github
):
    nodes = {
        "p1": pull(1),
        "p2": pull(2, state="OPEN"),
        "p3": pull(3, baseRefName="main"),
        "p4": None,
    }
    answered(
        server,
        nodes,
        {"type": "NOT_FOUND", "message": "Could not resolve to a PullRequest", "path": ["p4"]},
    )

    assert [one.number for one in github.merged_pulls("staging", [1, 2, 3, 4])] == [1]


def test_a_hundred_are_one_request(server, github):
    answered(server, {})

    assert github.merged_pulls("staging", list(range(1, 2 * MOST + 2))) == ()
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "answer",
    [
        {"data": None, "errors": [{"message": "Something went wrong"}]},
        {
            "data": {"repository": {"p1": None}},
            "errors": [{"message": "Timeout", "path": ["repository", "p1"]}],
        },
        {"data": {"repository": None}},
        {"data": {"repository": {"p1": pull(1, headRefOid="short")}}},
        {},
    ],
)
def test_what_cannot_be_read_is_told_and_never_left_out(server, github, answer):
    server.app = lambda request: Response(200, answer)

    with pytest.raises(ApiError):
        github.merged_pulls("staging", [1])


def test_the_document_is_valid():
    assert validate(build_schema(SCHEMA.read_text()), parse(merged_document([1, 2]))) == []
