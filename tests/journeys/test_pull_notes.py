"""What an author is told of the migrations in their pull request: one comment, edited ever
after.
"""

import pytest
from django.utils import timezone

from environments.clients import github_of
from environments.github import comments
from environments.models import Project
from portal.jobs import running
from portal.sandbox.sample import migration
from portal.sandbox.server import Fault
from releases.models.pull_requests import PullRequest, PullRequestComment
from releases.pull_requests import comment as pull_requests_comment
from tests.journeys.test_previews import comments_on, opened
from tests.journeys.test_pulls import page_of, read

pytestmark = pytest.mark.slow
RENAME = 'op.alter_column("events", "workspace_id", new_column_name="space")'
BACK = 'op.alter_column("events", "space", new_column_name="workspace_id")'
HEAD = "6f8b0d2e4a56"


def told(world, number: int, until=lambda said: True) -> str:
    """Works until the pull request was read, and its comment says what is waited for."""
    read(world, number)

    def done() -> bool:
        PullRequestComment.objects.update(wake_at=timezone.now())
        message = "".join(comments_on(world, number))
        return bool(message) and until(message)

    world.work(done)
    return "".join(comments_on(world, number))


def push(world, branch: str, files: dict) -> None:
    world.github.push_commit(branch, files, "Work")


def test_the_author_reads_what_can_go_wrong_and_how_to_write_it_and_later_that_it_is_mended(
    world, client
):
    number = opened(world, "feature-rename")
    name = "a@everyone [x](http://evil) #1"
    rename = migration("aaaaaaaaaaaa", HEAD, name, RENAME, BACK)
    push(world, "feature-rename", rename)

    said = told(world, number)

    assert (
        said.count(pull_requests_comment.MARKER) == 1
        and "**danger** (`rename`) `aaaaaaaaaaaa`" in said
    )
    assert "*Instead:* Add the new name" in said and next(iter(rename)) in said
    page = page_of(world, client)
    assert "Renames something in events" in page and "Instead: Add the new name" in page
    assert "@everyone" not in said and "](http" not in said.replace("](http://127", "").replace(
        "](http://localhost", ""
    )

    gentle = migration(
        "aaaaaaaaaaaa", HEAD, "add", 'op.add_column("events", sa.Column("n", sa.Text))', "pass"
    )
    push(world, "feature-rename", dict.fromkeys(rename) | gentle)
    fixed = told(world, number, until=lambda said: "danger" not in said)
    push(world, "feature-rename", dict.fromkeys(gentle))
    gone = told(world, number, until=lambda said: "has none anymore" in said)

    assert "1 new" in fixed and "has none anymore" in gone
    assert len(comments_on(world, number)) == 1


def test_an_authors_comment_with_the_portals_mark_is_not_taken_for_its_own(world):
    number = opened(world, "feature-rename")
    forged = f"{pull_requests_comment.MARKER}\nMigrations: nothing can go wrong."
    github_of(Project.objects.get()).comment(number, forged)
    push(world, "feature-rename", migration("aaaaaaaaaaaa", HEAD, "rename", RENAME, BACK))

    told(world, number, until=lambda said: "danger" in said)

    first, second = comments_on(world, number)
    assert first == forged and "danger" in second


USERS, EMAIL = "3c5e7a9b1d23", 'sa.Column("email", sa.Text, nullable=False, unique=True)'
TABLE = 'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), {})'


def test_an_edit_of_a_shipped_file_is_judged_by_what_it_runs(world, client):
    """Production has the file: form is to be known, other SQL a danger, staging's own stay."""

    def of(create: str, drop: str = 'op.drop_table("users")') -> dict:
        return migration(USERS, "2b4d6f8a0c12", "create users", create, drop)

    number = opened(world, "feature-rewritten")
    push(world, "feature-rewritten", of(TABLE.format(EMAIL) + "  # formatted"))
    form = told(world, number, until=lambda said: "in form only" in said)
    form_row = read(world, number)
    push(world, "feature-rewritten", of(TABLE.format(EMAIL.replace("sa.Text", "sa.Text()"))))
    same = told(world, number, until=lambda said: "SQL is the same" in said)
    push(world, "feature-rewritten", of(TABLE.format(EMAIL.replace("Text", "String"))))
    other = told(world, number, until=lambda said: "other SQL" in said)
    page = page_of(world, client)
    index = migration(HEAD, "5e7a9c1d3f45", "index events.workspace_id", "pass", "pass")
    push(world, "feature-rewritten", index)
    staged = read(world, number).migrations_problem

    assert form_row.migrations_problem == "" and "danger" not in form
    assert "**info** (`edited-shipped`)" in same and "danger" not in same
    assert f"**danger** (`edited-shipped`) `{USERS}`" in other and "runs other SQL" in other
    assert "git checkout" in other and "To fix" not in other
    assert "now runs other SQL (upgrade)" in page
    assert "Edits what staging has" in staged and "write a new revision" in staged


def test_two_heads_are_told_with_the_command_and_a_pull_request_without_migrations_is_left_alone(
    world,
):
    number, quiet = opened(world, "feature-two"), opened(world, "feature-quiet")
    push(world, "feature-two", migration("aaaaaaaaaaaa", HEAD, "one", "pass", "pass"))
    other = migration("bbbbbbbbbbbb", HEAD, "other", "pass", "pass")
    world.github.push_commit("staging", other, "Another meanwhile")
    read(world, quiet)

    said = told(world, number, until=lambda said: "2 heads" in said)

    assert "To fix before merging" in said and '`alembic merge -m "merge heads"' in said
    assert (
        comments_on(world, quiet) == []
        and not PullRequestComment.objects.filter(number=quiet).exists()
    )


def test_a_lost_answer_leaves_one_comment(world):
    number = opened(world, "feature-lost")
    world.github_server.faults.append(
        Fault("drop", method="POST", path=f"/issues/{number}/comments")
    )
    push(world, "feature-lost", migration("aaaaaaaaaaaa", HEAD, "one", RENAME, BACK))

    def asked_again() -> bool:
        PullRequestComment.objects.update(wake_at=timezone.now())
        return PullRequestComment.objects.filter(number=number, told__has_key="comment").exists()

    read(world, number)
    world.work(asked_again)

    assert len(comments_on(world, number)) == 1


@pytest.mark.parametrize(
    ("kind", "why"), [("draft", pull_requests_comment.DRAFT), ("fork", pull_requests_comment.FORK)]
)
def test_of_drafts_and_forks_no_file_is_executed(world, kind, why):
    Project.objects.update(pull_comments=False)  # it is looked at here, and not by the worker
    number = opened(world, f"feature-{kind}")
    files = migration("aaaaaaaaaaaa", HEAD, "one", RENAME, BACK)
    path = next(iter(files))
    push(world, f"feature-{kind}", files)
    row, note = read(world, number), PullRequestComment(project=world.project, number=number)
    setattr(row, kind, True)

    risks, note.unread = pull_requests_comment._look(world.project, row)

    assert risks == () and note.unread == why
    assert comments.plain(why) in pull_requests_comment.text_of(
        note, row
    ) and path in pull_requests_comment.text_of(note, row)
    setattr(row, kind, False)
    assert [one.code for one in pull_requests_comment._look(world.project, row)[0]] == ["rename"], (
        "which only executing tells"
    )


def test_a_note_that_is_asked_for_while_it_is_worked_on_is_looked_at_again(world):
    number = opened(world, "feature-race")
    push(world, "feature-race", migration("aaaaaaaaaaaa", HEAD, "one", RENAME, BACK))
    told(world, number)
    PullRequestComment.objects.update(wake_at=timezone.now())
    note = running.claim(PullRequestComment, PullRequestComment.objects.get().pk)

    PullRequestComment.objects.update(about="of before")
    opened_now = PullRequest.objects.open_into_staging(world.project)
    pull_requests_comment.wake(world.project, opened_now, now=timezone.now())
    running.record(note, pull_requests_comment.step(note, now=timezone.now()))

    row = PullRequestComment.objects.get()
    assert row.is_open and row.wake_at <= timezone.now()


def test_the_project_can_switch_it_off(world):
    Project.objects.update(pull_comments=False)
    number = opened(world, "feature-off")
    push(world, "feature-off", migration("aaaaaaaaaaaa", HEAD, "one", RENAME, BACK))

    read(world, number)

    assert comments_on(world, number) == [] and not PullRequestComment.objects.exists()
