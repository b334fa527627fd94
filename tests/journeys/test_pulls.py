"""Open pull requests: what git, GitHub and the previews say of them, where their authors look."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from environments.models import Branch, Project
from portal.sandbox.sample import migration
from releases.models.pull_requests import PullReading, PullRequest
from releases.pull_requests import migrations as pull_migrations
from tests.journeys.test_previews import opened, push

pytestmark = pytest.mark.slow


def read(world, number: int) -> PullRequest:
    """Works until git was asked about the pull request as it is now."""

    def done() -> bool:
        PullReading.objects.update(wake_at=timezone.now())
        base = world.github.heads()["staging"]
        head = next(one for one in world.github.state["pulls"] if one["number"] == number)["head"]
        return PullRequest.objects.filter(
            number=number, read_for=f"{base}..{world.github.heads()[head]}"
        ).exists()

    world.work(done)
    return PullRequest.objects.get(number=number)


def page_of(world, client, who: str = "carol") -> str:
    client.force_login(world.person(who))
    return client.get("/pulls/").text


def test_a_migration_inside_is_named_and_two_heads_are_foretold_with_the_mending_command(
    world, client
):
    staging = world.github.heads()["staging"]
    number = opened(world, "feature-column")
    add = migration(
        "aaaaaaaaaaaa",
        "6f8b0d2e4a56",
        "add",
        'op.add_column("events", sa.Column("a", sa.Text))',
        "pass",
    )
    world.github.push_commit("feature-column", add, "Add a column")
    first = read(world, number)
    other = migration(
        "bbbbbbbbbbbb",
        "6f8b0d2e4a56",
        "other",
        'op.add_column("events", sa.Column("b", sa.Text))',
        "pass",
    )
    world.github.push_commit("staging", other, "Another column meanwhile")
    second = read(world, number)

    page = page_of(world, client)

    assert [(one["id"], one["what"]) for one in first.migrations] == [("aaaaaaaaaaaa", "new")]
    assert first.migrations_problem == "" and world.github.heads()["staging"] != staging
    assert "Once it is merged: There are 2 heads" in second.migrations_problem
    assert "alembic merge" in second.migrations_problem and second.migrations[0]["path"] in page


def test_an_edited_revision_is_refused_by_its_name(world):
    number = opened(world, "feature-edit")
    path = next(
        path
        for path in world.github.git.text("ls-tree", "-r", "--name-only", "staging").split()
        if "/versions/" in path
    )
    world.github.push_commit(
        "feature-edit", {path: "revision = 'x'\ndown_revision = None\n"}, "Edit"
    )

    row = read(world, number)

    assert path in str(row.migrations) and row.migrations_problem


def test_a_branch_that_was_cut_from_main_is_told_how_to_move(world, client):
    world.github.push_commit("main", {"HOTFIX.txt": "x"}, "A hotfix on main")
    world.github.git.move("refs/heads/feature-main", world.github.heads()["main"])
    number = opened(world, "feature-main")
    fine = opened(world, "feature-staging")

    wrong, right = read(world, number), read(world, fine)

    assert "Branched from main, not from staging: it adds 1 commit" in wrong.cut_wrong
    assert "git rebase --onto origin/staging" in wrong.cut_wrong and right.cut_wrong == ""
    assert wrong.cut_wrong.split(":")[0] in page_of(world, client)


def test_the_list_shows_checks_reviews_and_the_commands_to_run_before_pushing(world, client):
    world.github.protect("staging", checks=("python-ci",), pull_request=True, approvals=1)
    number = opened(world, "feature-checks")
    head = push(world, "feature-checks", "two")
    world.github.set_check(head, "python-ci", conclusion="failure")
    world.github.add_review(number, "bob", "CHANGES_REQUESTED")
    world.work(
        lambda: PullRequest.objects.filter(
            number=number, head_sha=head, checks__isnull=False
        ).exists()
    )
    world.work(
        lambda: PullRequest.objects.get(number=number).review_decision == "changes_requested"
    )

    page = page_of(world, client)

    assert "Not green: python-ci (failure)." in page and "changes requested" in page
    assert "npm run build" in page and "npm test" in page


def test_the_list_takes_the_same_queries_for_few_and_for_many(
    world, client, django_assert_num_queries
):
    world.work(lambda: Branch.objects.filter(name="staging").exclude(head="").exists())
    client.force_login(world.person("alice"))
    with CaptureQueriesContext(connection) as few:
        client.get("/pulls/")
    PullRequest.objects.bulk_create(
        PullRequest(
            project=Project.objects.get(),
            number=1000 + n,
            title="<script>",
            base="staging",
            head=f"b{n}",
            head_sha="a" * 40,
            seen_at=timezone.now(),
        )
        for n in range(60)
    )

    with django_assert_num_queries(len(few)):
        page = client.get("/pulls/").text

    assert page.count("&lt;script&gt;") >= 60 and "<script>" not in page.split("<main")[1]


def test_many_pull_requests_are_read_in_short_steps_between_which_others_have_their_turn(
    world, monkeypatch
):
    for number in range(3):
        opened(world, f"many-{number}")
    world.work(lambda: PullRequest.objects.filter(base="staging", state="open").count() >= 3)
    PullRequest.objects.update(read_for="")
    waiting = PullRequest.objects.open_into_staging(world.project).count()
    monkeypatch.setattr(pull_migrations, "SECONDS", 0.0)

    job, _ = PullReading.objects.get_or_create(project=world.project)
    one = pull_migrations.read(job, now=timezone.now())

    assert 0 < one.seconds < 1
    assert one.sentence == f"1 of {waiting} pull requests that moved were read."
