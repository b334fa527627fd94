"""Configuration as code: what a file of the repository says goes before Railway's settings, and
never excuses alone.
"""

import json
from dataclasses import replace

import pytest

from environments.models import AtStart, ServiceInstance
from environments.services.config_file import parse
from releases.gates.deployed import staging_healthy
from releases.gates.result import FAIL, PASS, PENDING
from tests.releases.gates.facts import BASE, CANDIDATE, a_live, good_facts


@pytest.mark.parametrize(
    ("path", "body", "patterns", "command"),
    [
        ("railway.json", '{"build": {"watchPatterns": ["/a/**"]}}', ("/a/**",), None),
        ("railway.json", '{"build": {"watchPatterns": []}}', (), None),
        ("railway.json", "{}", None, None),
        (
            "railway.json",
            '{"build": null, "deploy": {"preDeployCommand": "alembic upgrade head"}}',
            None,
            "alembic upgrade head",
        ),
        ("railway.json", '{"deploy": {"preDeployCommand": ["a", "b"]}}', None, "a && b"),
        (
            "x/railway.toml",
            '[deploy]\npreDeployCommand = "a"\n[environments.live.deploy]\npreDeployCommand = "b"',
            None,
            "b",
        ),
    ],
)
def test_a_file_is_read_for_one_environment(path, body, patterns, command):
    found = parse(path, body.encode(), "live")

    assert (found.problem, found.watch_patterns, found.pre_deploy_command) == (
        "",
        patterns,
        command,
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b"[]",
        b"\xff",
        b'{"build": 1}',
        b'{"build": {"watchPatterns": "x"}}',
        b'{"build": {"watchPatterns": [1]}}',
        b'{"deploy": {"preDeployCommand": 7}}',
        b"[" * 50_000,
        b"1" * 10_000,
    ],
)
def test_what_cannot_be_read_is_told_and_says_nothing(body):
    found = parse("railway.json", body, "live")

    assert "railway.json cannot be read" in found.problem and found.watch_patterns is None


def judged(**changes):
    """Staging's worker serves the earlier commit, and Railway skipped the candidate."""
    skipped = a_live("worker", status="SKIPPED", is_active=False)
    serving = replace(a_live("worker", commit=BASE, is_latest=False)).latest
    live = replace(skipped, active=(serving,))
    for name, value in changes.items():
        setattr(live.instance, name, value)
    facts = good_facts()
    return staging_healthy(replace(facts, live={**facts.live, "staging": (a_live(), live)}))


def known(part: str, path: str, limits=None):
    limits = limits or [[], "backend", ""]
    return {"serves": BASE, "by": limits, part: {CANDIDATE: path}}


@pytest.mark.parametrize(
    ("unchanged", "root", "state"),
    [
        ({}, "backend", PENDING),
        (known("if_skipped", ""), "backend", PASS),
        (known("if_skipped", "backend/app.py"), "backend", FAIL),
        (known("if_skipped", ""), "elsewhere", PENDING),
        (known("always", "", [[], "", ""]), "", FAIL),
    ],
)
def test_what_railway_skipped_is_judged_by_git(unchanged, root, state):
    assert judged(unchanged=unchanged, root_directory=root).state == state


def test_without_railways_word_a_root_directory_excuses_nothing():
    behind = a_live("worker", commit=BASE)
    behind.instance.root_directory, behind.instance.unchanged = "backend", known("if_skipped", "")
    facts = good_facts()

    assert staging_healthy(replace(facts, live={**facts.live, "staging": (behind,)})).state == FAIL


@pytest.mark.parametrize(
    ("railway", "repository", "worse"),
    [
        ("no", "", "no"),
        ("no", "pre_deploy", "pre_deploy"),
        ("unknown", "no", "unknown"),
        ("start", "no", "start"),
    ],
)
def test_whether_it_runs_alembic_is_the_worse_of_both_words(railway, repository, worse):
    row = ServiceInstance(at_start=railway, in_repository={"at_start": repository})

    assert row.runs_alembic == AtStart(worse)


def test_the_repositorys_health_check_goes_before_railways():
    row = ServiceInstance(
        healthcheck_path="/old", in_repository=json.loads('{"healthcheck": "/new"}')
    )

    assert (row.checked_at, ServiceInstance(healthcheck_path="/old").checked_at) == ("/new", "/old")
