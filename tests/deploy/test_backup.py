"""A backup restored into an empty place: the trail verifies, and open work looks at the world
and repeats nothing.
"""

import os
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from portal.audit import verification
from portal.backup.archive import BackupError, back_up, restore
from portal.models.audit import AuditEvent
from releases.models.notifications import Channel, Notice, NotificationFeed
from releases.promotion import actions
from tests.journeys.test_release import prepare, reread
from tests.journeys.world import quick_world

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@contextmanager
def another_database():
    """An empty database on the same server; Django's connection is its own meanwhile."""
    name = f"restored_{os.getpid()}"  # tests run beside each other
    before = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name}")
        cursor.execute(f"CREATE DATABASE {name}")
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def writes(world):
    """What the vendors were told to do, as far as it must happen once."""
    merges = world.sent("PUT", "/merge")
    return len(merges), world.github.git.text("rev-list", "--count", "main").strip()


def test_a_promotion_that_went_on_after_the_backup_is_finished_and_nothing_is_done_twice(
    tmp_path, settings
):
    with quick_world(tmp_path, settings) as world:
        release = prepare(world)
        actions.promote(release, actor=world.person("alice"))
        Channel.objects.create(
            name="x", transport="email", address="a@example.com", place="x", kinds=["shipped"]
        )
        channel = Channel.objects.get()
        Notice.objects.create(channel=channel, kind="shipped", payload={})
        NotificationFeed.objects.create(position=0)
        verification.anchor(timezone.now())
        back_up(tmp_path / "backup", now=timezone.now())
        world.work(lambda: reread(release).status == "verifying")
        done = writes(world)
        assert done[0] == 1
        world_moved_on = world.revisions("production")
        Path(settings.VAR_DIR / "audit-anchors.jsonl").rename(tmp_path / "later-anchors")

        with another_database():
            restore(tmp_path / "backup", now=timezone.now())
            assert reread(release).status == "promoting"
            assert verification.verify().ok
            assert AuditEvent.objects.filter(action="portal.restored").exists()
            assert Channel.objects.get().address.reveal() == "a@example.com"
            assert Notice.objects.get().status == "cancelled"
            world.work(lambda: reread(release).status == "verifying")
            assert writes(world) == done and world.revisions("production") == world_moved_on


def test_a_place_that_is_not_empty_is_left_as_it_is(tmp_path, settings):
    settings.VAR_DIR = tmp_path / "var"
    back_up(tmp_path / "backup", now=timezone.now())

    with pytest.raises(BackupError, match="not empty"):
        restore(tmp_path / "backup", now=timezone.now())
    with pytest.raises(CommandError, match="name a new file"):
        call_command("backup", tmp_path / "backup")
    assert (tmp_path / "backup").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("spoil", ["cut", "other", "dump", "names"])
def test_a_file_that_is_damaged_or_something_else_restores_nothing(tmp_path, settings, spoil):
    settings.VAR_DIR = tmp_path / "var"
    file = tmp_path / "backup"
    back_up(file, now=timezone.now())
    whole = file.read_bytes()
    if spoil == "cut":
        file.write_bytes(whole[: len(whole) // 2])
    elif spoil == "other":
        file.write_bytes(b"no tar at all")
    elif spoil == "dump":
        at = whole.index(b"PGDMP") + 2000
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    else:
        (tmp_path / "evil").symlink_to("/etc/passwd")
        with tarfile.open(file, "w") as archive:
            for name in ("backup.json", "audit-anchors.jsonl", "database.dump"):
                archive.add(tmp_path / "evil", name)

    with another_database():
        with pytest.raises(BackupError):
            restore(file, now=timezone.now())
        assert connection.introspection.table_names() == []


def manage(var, *arguments, **settings):
    env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    env |= {
        "PORTAL_VAR_DIR": str(var),
        "PORTAL_ENV_FILE": os.devnull,
        "SECRET_KEY": "k" * 50,
    } | settings
    command = [sys.executable, "manage.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=180)


def test_both_commands_with_the_portals_own_postgresql_from_directory_to_directory(
    tmp_path, migrated_data_in
):
    migrated_data_in(tmp_path / "old" / "postgres")
    made = manage(tmp_path / "old", "backup", tmp_path / "file")
    assert made.returncode == 0, made.stderr

    done = manage(tmp_path / "new", "restore", tmp_path / "file")
    assert done.returncode == 0, done.stderr
    assert (
        "Restored what was backed up" in done.stdout
        and "Every event is as it was written" in done.stdout
    )
    again = manage(tmp_path / "new", "restore", tmp_path / "file")
    assert again.returncode == 1 and "not empty" in again.stderr
    assert "k" * 50 not in made.stdout + done.stdout
