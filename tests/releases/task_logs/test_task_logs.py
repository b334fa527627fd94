"""Task logs: a file that git ignores and nothing overwrites, and the same log kept in the
portal.
"""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from environments.models import Finding
from portal.models.audit import AuditEvent
from portal.ui.actions import NotPermitted, Refused
from releases.models.task_logs import TaskLog
from releases.task_logs import actions as task_logs_actions
from releases.task_logs import markdown as task_logs_markdown
from tests.environments.git.test_repository import commit, git
from tests.factory import make_people, make_project, make_release
from tests.reading import squeezed

AT = datetime(2026, 11, 26, 2, 45, tzinfo=UTC)
HEADINGS = [
    "# Move the cache",
    "## Goal",
    "## Notes",
    "## Decisions",
    "## Commands run",
    "## Outcome",
]


@pytest.fixture
def clone(tmp_path):
    where = tmp_path / "clone"
    where.mkdir()
    git(where, "init", "-q", "-b", "main")
    commit(where, "First", {"src/a.txt": "1\n"})
    return where


def test_a_log_has_the_five_headings_and_lies_at_the_root_of_the_repository(clone):
    path = task_logs_markdown.start("Move the cache", clone / "src", at=AT)

    assert path == clone / ".task_logs" / "20261126-024500-move-the-cache.md"
    assert [line for line in path.read_text().splitlines() if line] == HEADINGS


def test_git_ignores_the_folder_from_then_on_and_is_told_once(clone):
    for _ in range(3):
        task_logs_markdown.start("Move the cache", clone, at=AT)

    assert git(clone, "status", "--porcelain") == ""
    assert (clone / ".git/info/exclude").read_text().count(".task_logs/") == 1


def test_a_folder_that_gitignore_names_already_is_not_named_again(clone):
    (clone / ".gitignore").write_text(".task_logs/\n")

    task_logs_markdown.start("Move the cache", clone, at=AT)

    assert ".task_logs" not in (clone / ".git/info/exclude").read_text()


def test_in_a_second_worktree_git_ignores_it_too(clone, tmp_path):
    git(clone, "worktree", "add", "-q", str(tmp_path / "second"), "-b", "second")

    path = task_logs_markdown.start("Move the cache", tmp_path / "second", at=AT)

    assert path.parent == tmp_path / "second" / ".task_logs"
    assert git(tmp_path / "second", "status", "--porcelain") == ""


def test_a_log_that_is_there_is_never_overwritten(clone):
    first = task_logs_markdown.start("Move the cache", clone, at=AT)
    first.write_text("mine")

    second = task_logs_markdown.start("Move the cache", clone, at=AT)

    assert first.read_text() == "mine" and second.name == "20261126-024500-move-the-cache-2.md"


@pytest.mark.parametrize(
    ("description", "slug"),
    [
        ("../../etc/passwd", "etcpasswd"),
        ("Füße & Straße 🚀", "füße-straße"),
        ("日本語の仕事", "日本語の仕事"),
        ("🚀🚀", "task"),
        ("x" * 5000, "x" * 100),
        ("ü" * 5000, "ü" * 50),
        ("-rf \x00 a\nb", "rf-a-b"),
    ],
)
def test_a_file_is_named_safely_whatever_the_task_is_called(clone, description, slug):
    path = task_logs_markdown.start(description, clone, at=AT)

    assert path.name == f"20261126-024500-{slug}.md" and path.parent == clone / ".task_logs"


@pytest.mark.parametrize("description", ["", "   ", "\x00\n"])
def test_a_task_without_a_name_is_refused(clone, description):
    with pytest.raises(task_logs_markdown.NoFile, match="Say in a few words"):
        task_logs_markdown.start(description, clone, at=AT)


def test_no_repository_and_a_folder_that_leads_elsewhere_are_said(clone, tmp_path):
    (clone / ".task_logs").symlink_to(tmp_path)

    with pytest.raises(task_logs_markdown.NoFile, match="in no git repository"):
        task_logs_markdown.start("x", tmp_path, at=AT)
    with pytest.raises(task_logs_markdown.NoFile, match="no folder of its own"):
        task_logs_markdown.start("x", clone, at=AT)


@pytest.mark.slow
def test_the_command_needs_no_database_and_prints_where_the_log_is(clone):
    manage = Path(__file__).resolve().parents[3] / "manage.py"
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}

    done = subprocess.run(
        [sys.executable, manage, "task_log", "Move the cache"],
        cwd=clone / "src",
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).read_text().startswith("# Move the cache\n")


# In the portal


@pytest.fixture
def people(db):
    return make_people()


@pytest.fixture
def release(people):
    return make_release(make_project(), by=people["alice"])


def signed_in(user):
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def address(subject, kind="release"):
    return f"/task-logs/{kind}/{subject.pk}/"


def test_a_log_is_begun_edited_read_by_all_and_each_save_is_in_the_trail(people, release):
    alice, bob, carol = (signed_in(people[name]) for name in ("alice", "bob", "carol"))

    alice.post(address(release), {"version": "0", "goal": "Ship <b>it</b>", "notes": "one"})
    bob.post(address(release), {"version": "1", "goal": "Ship <b>it</b>", "notes": "one\r\ntwo"})
    page = squeezed(carol.get(address(release)))
    on_release = squeezed(carol.get(f"/releases/{release.pk}/"))

    log, events = (
        TaskLog.objects.get(),
        list(AuditEvent.objects.filter(action="task_log.saved").order_by("position")),
    )
    assert (log.version, log.notes, log.saved_by) == (2, "one\ntwo", people["bob"])
    assert {author.username for author in log.authors.all()} == {"alice", "bob"}
    assert [event.data["sections"] for event in events] == [["goal", "notes"], ["notes"]]
    assert [event.actor_name for event in events] == ["alice", "bob"] and events[
        0
    ].subject_id == str(release.pk)
    for html in (page, on_release):
        assert "Ship &lt;b&gt;it&lt;/b&gt;" in html and "<b>it" not in html
    assert 'id="save-log"' not in page and "Read log" in on_release


def test_a_stale_save_is_refused_in_one_sentence_and_nothing_typed_is_lost(people, release):
    alice, bob = signed_in(people["alice"]), signed_in(people["bob"])
    alice.post(address(release), {"version": "0", "notes": "from alice"})

    answer = bob.post(address(release), {"version": "0", "notes": "half an hour of bob's work"})
    html = squeezed(answer)
    again = bob.post(address(release), {"version": "1", "notes": "both"})

    assert answer.status_code == 409 and "alice saved this log while you were writing" in html
    assert (
        "half an hour of bob&#x27;s work" in html
        and "from alice" in html
        and 'name="version" value="1"' in html
    )
    assert again.status_code == 302 and TaskLog.objects.get().notes == "both"
    assert AuditEvent.objects.filter(action="task_log.saved", outcome="refused").count() == 1


def test_two_people_who_begin_at_once_make_one_log(people, release):
    task_logs_actions.write(release, actor=people["alice"], typed={"goal": "a"}, version=0)

    with pytest.raises(task_logs_actions.Stale):
        task_logs_actions.write(release, actor=people["bob"], typed={"goal": "b"}, version=0)

    assert TaskLog.objects.get().goal == "a"


def test_a_section_that_is_too_long_is_named_and_given_back_whole(people, release):
    typed = "x" * 20_001

    answer = signed_in(people["alice"]).post(address(release), {"version": "0", "decisions": typed})

    assert answer.status_code == 400 and "“Decisions” has 20,001 characters" in squeezed(answer)
    assert typed in squeezed(answer) and not TaskLog.objects.exists()


def test_only_those_who_may_write_do_and_what_they_typed_comes_back_otherwise(people, release):
    answer = signed_in(people["carol"]).post(address(release), {"version": "0", "goal": "x"})

    assert answer.status_code == 403 and "You are not allowed" in squeezed(answer)
    with pytest.raises(NotPermitted):
        task_logs_actions.write(release, actor=people["carol"], typed={"goal": "x"}, version=0)
    with pytest.raises(Refused, match="Nothing was changed"):
        task_logs_actions.write(release, actor=people["alice"], typed={}, version=0)


def test_a_log_is_downloaded_as_the_same_file(people, release):
    typed = {"goal": "Ship it", "commands": "make test\nmake demo"}
    task_logs_actions.write(release, actor=people["alice"], typed=typed, version=0, now=AT)

    answer = signed_in(people["carol"]).get(f"{address(release)}file/")

    text = answer.content.decode()
    assert answer.headers["Content-Type"].startswith("text/markdown")
    assert answer.headers["Content-Disposition"].startswith(
        'attachment; filename="20261126-024500-release-'
    )
    assert [line for line in text.splitlines() if line.startswith("#")][1:] == HEADINGS[1:]
    assert (
        "inspector, by alice, saved 2026-11-26 02:45 UTC" in text and "make test\nmake demo" in text
    )


def test_a_finding_has_a_log_of_its_own_and_nothing_else_has(people, release):
    finding = Finding.objects.create(
        project=release.project, kind="branch", subject="x", sentence="x follows y."
    )
    alice = signed_in(people["alice"])

    alice.post(address(finding, "finding"), {"version": "0", "outcome": "It was meant so."})

    assert TaskLog.objects.get().finding == finding
    assert address(finding, "finding") in squeezed(alice.get("/environments/"))
    assert alice.get("/task-logs/project/1/").status_code == 404
    assert alice.get("/task-logs/release/99999/file/").status_code == 404


def test_the_log_costs_the_release_page_no_query(people, release):
    alice = signed_in(people["alice"])
    without = _queries(alice, release)
    task_logs_actions.write(release, actor=people["alice"], typed={"goal": "x" * 20_000}, version=0)

    assert _queries(alice, release) == without


def _queries(client, release):
    client.get(f"/releases/{release.pk}/")
    with CaptureQueriesContext(connection) as seen:
        client.get(f"/releases/{release.pk}/")
    return len(seen)


@pytest.mark.django_db
def test_findings_lead_to_the_one_before_and_after_while_they_are_open():
    people, project = make_people(), make_project()
    first, closed, last = (
        Finding.objects.create(project=project, kind="branch", subject=name, sentence=f"{name}.")
        for name in "abc"
    )
    Finding.objects.filter(pk=closed.pk).update(closed_at=AT)
    client = Client()
    client.force_login(people["alice"], backend="django.contrib.auth.backends.ModelBackend")

    shown = squeezed(client.get(f"/task-logs/finding/{first.pk}/"))

    assert f'<a href="/task-logs/finding/{last.pk}/" rel="next">Newer finding →</a>' in shown
    assert "Older finding" not in shown
    assert "Older finding" in squeezed(client.get(f"/task-logs/finding/{last.pk}/"))
