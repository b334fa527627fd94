"""What the portal proposes after reading a repository and a Railway project."""

import pytest

from environments.models import ProjectProposal
from environments.setup import choices, commands
from portal.models.audit import AuditEvent
from tests.factory import make_people


@pytest.fixture
def bare(tmp_path, settings, db):
    from tests.journeys.world import running_world

    with running_world(tmp_path, settings, connected=False) as world:
        settings.GITHUB_TOKEN = "sandbox-github-token"
        settings.RAILWAY_API_TOKEN = "sandbox-railway-token"
        yield world


@pytest.mark.slow
def test_the_sample_is_found_as_it_is_and_nothing_is_written(bare):
    [repository] = choices.repositories("INSPECT")
    [project] = choices.railway_projects()
    job = ProjectProposal.objects.create(
        repository=repository.value,
        railway_project_id=project.value,
        asked_by=make_people()["dave"],
    )

    bare.work(lambda: not ProjectProposal.objects.get().is_open)

    job.refresh_from_db()
    assert job.status == "succeeded", job.sentence
    found = job.found
    assert found["fields"] | {"checks": "", "pre_push": ""} == {
        "name": "inspector",
        "staging_branch": "staging",
        "production_branch": "main",
        "staging_environment": "staging",
        "production_environment": "production",
        "checks": "",
        "pre_push": "",
        "protected_approvals": "0",
    }
    assert "python-ci" in found["fields"]["checks"]
    assert [(one["alembic"], one["service"], one["variable"]) for one in found["databases"]] == [
        ("backend/alembic.ini", "backend", "DATABASE_URL")
    ]
    assert found["services"] == ["backend", "frontend"]
    assert {"service": "backend", "path": "/health"} in found["smoke"]
    assert found["environments"] == [
        {"name": "production", "branch": "main"},
        {"name": "staging", "branch": "staging"},
    ]
    assert found["notes"] == [] and found["can"] and len(found["protection"]) == 2
    sent = [
        one
        for one in [*bare.github_server.requests, *bare.railway_server.requests]
        if (one.method != "GET" and "graphql" not in one.path and "git-upload" not in one.path)
        or "mutation" in one.body
    ]
    assert sent == []
    assert not AuditEvent.objects.filter(action="outward.withheld").exists()


def test_a_search_that_finds_nothing_finds_nothing(bare):
    assert choices.repositories("nowhere") == choices.railway_projects("nowhere") == []


FILES = {
    "frontend/package.json": b'{"scripts": {"build": "vite", "test": "vitest", "dev": "vite"}}',
    "frontend/pnpm-lock.yaml": b"",
    "Makefile": b"test: deps\n\tpytest\nlint:\n\truff\nX := 1\n",
    ".pre-commit-config.yaml": b"repos: []",
    "a/b/c/package.json": b'{"scripts": {"test": "no"}}',
    "broken/package.json": b"{",
}


def test_commands_before_a_push_come_out_of_the_repositorys_own_files():
    assert commands.before_pushing(FILES, FILES.get) == [
        "pre-commit run --all-files",
        "make lint",
        "make test",
        "cd frontend && pnpm run build",
        "cd frontend && pnpm run test",
    ]
