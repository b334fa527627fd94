"""A database that was adopted, and one whose history was squashed: proven, stamped by two people,
and shipped from there.
"""

import psycopg
import pytest
from django.utils import timezone

from environments.git_mirrors.clone import mirror_of
from environments.models import DatabaseStatus, DatabaseSync, EnvironmentDatabase, Stamp
from environments.schema.history.reader import read
from environments.stamps.actions import is_stampable
from portal.models.audit import AuditEvent
from portal.sandbox import sample
from releases.lifecycle import actions as lifecycle_actions
from releases.promotion import actions as promotion_actions
from tests.journeys.test_release import cut, end, make_ready, promote, push, readiness, reread
from tests.journeys.world import quick_world
from tests.reading import squeezed

pytestmark = pytest.mark.slow
SQUASHED = "5a5a5a5a5a5a"
# What the six revisions of the sample make, in one.
ALL_IN_ONE = (
    'op.create_table("workspaces", sa.Column("id", sa.Integer, primary_key=True),'
    ' sa.Column("name", sa.Text, nullable=False))',
    'op.create_table("events", sa.Column("id", sa.BigInteger, primary_key=True),'
    ' sa.Column("workspace_id", sa.Integer, sa.ForeignKey("workspaces.id"), nullable=False),'
    ' sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),'
    ' sa.Column("severity", sa.Text, nullable=False, server_default="info"))',
    'op.create_index("events_workspace_id", "events", ["workspace_id"])',
    'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True),'
    ' sa.Column("email", sa.Text, nullable=False, unique=True))',
    'op.create_table("integration_settings", sa.Column("id", sa.Integer, primary_key=True),'
    ' sa.Column("workspace_id", sa.Integer, sa.ForeignKey("workspaces.id"), nullable=False),'
    ' sa.Column("kind", sa.Text, nullable=False), sa.Column("settings", sa.JSON, nullable=False))',
)


@pytest.fixture
def world(tmp_path, settings, db):
    with quick_world(tmp_path, settings) as world:
        yield world


def stands(world, kind: str, *states: str) -> DatabaseStatus | None:
    """Works until the database of that environment stands so."""

    def row() -> DatabaseStatus | None:
        EnvironmentDatabase.objects.update(revisions_at=None)
        DatabaseSync.objects.update(wake_at=timezone.now())
        return DatabaseStatus.objects.filter(environment__kind=kind, state__in=states).first()

    world.work(lambda: row() is not None, seconds=60)
    return DatabaseStatus.objects.get(environment__kind=kind)


def clicked(client, world, who: str, address: str, **fields: str) -> str:
    client.force_login(world.person(who))
    return squeezed(client.post(address, fields, follow=True))


def proven(world) -> Stamp:
    world.work(lambda: bool(Stamp.objects.get().equal) or not Stamp.objects.get().is_open)
    return Stamp.objects.get()


@pytest.mark.parametrize("kind", ["staging", "production"])
def test_a_database_without_a_version_table_is_proven_and_stamped_by_two_people(
    world, client, kind
):
    [known] = world.revisions(kind)
    with psycopg.connect(world.databases[kind], autocommit=True) as opened:
        opened.execute("drop table alembic_version")
    status = stands(world, kind, "adopted")
    client.force_login(world.person("alice"))
    page = squeezed(client.get("/migrations/"))
    branch = status.branch

    asked = clicked(client, world, "alice", f"/databases/{status.pk}/stamp/", branch=branch)
    stamp = proven(world)
    address = f"/stamps/{stamp.pk}/"
    early = clicked(client, world, "bob", f"{address}approve/", target=known)
    foreign = clicked(client, world, "alice", f"{address}propose/", target="x", reason="Adopted.")
    clicked(client, world, "alice", f"{address}propose/", target=known, reason="Made by hand.")
    mine = clicked(client, world, "alice", f"{address}approve/", target=known)
    other = clicked(client, world, "bob", f"{address}approve/", target="x")
    before = Stamp.objects.get().status
    clicked(client, world, "bob", f"{address}approve/", target=known)
    world.work(lambda: not Stamp.objects.get().is_open)

    assert "tables and no revision" in page and f"Prove which revision of {branch}" in page
    assert "nothing is changed" in asked and stamp.equal == [[known]] and stamp.before == []
    assert "Nobody has proposed a revision" in early and "not among the revisions" in foreign
    assert "needs the permission" in mine or "a second person must" in mine
    assert "not the stamp that was on your page" in other and before == "waiting"
    done = Stamp.objects.get()
    assert done.status == "succeeded" and world.revisions(kind) == [known], done.sentence
    assert stands(world, kind, "level", "behind").revisions == [known]
    told = list(AuditEvent.objects.filter(action__startswith="stamp.", outcome="done"))
    assert {one.action for one in told} == {
        "stamp.requested",
        "stamp.proposed",
        "stamp.approved",
        "stamp.ended",
    }
    assert "made by hand" in clicked(client, world, "carol", address).lower()


def test_a_schema_that_no_revision_makes_is_not_stamped_and_the_difference_is_named(world, client):
    with psycopg.connect(world.databases["staging"], autocommit=True) as opened:
        opened.execute("drop table alembic_version; alter table users add column byhand int")
    status = stands(world, "staging", "adopted")

    clicked(client, world, "alice", f"/databases/{status.pk}/stamp/", branch="staging")
    stamp = proven(world)
    page = clicked(client, world, "alice", f"/stamps/{stamp.pk}/propose/", target="x", reason="r")

    assert stamp.status == "failed" and stamp.equal == [] and "byhand" in stamp.sentence
    assert "There is nothing to stamp" in page and "byhand" in page


def test_a_squashed_history_is_stamped_by_two_people_in_both_databases_and_ships(world, client):
    end(world, promote(world))
    mirror = mirror_of(world.project)
    mirror.fetch()
    old = [one.path for one in read(mirror, "main", sample.ALEMBIC).revisions.values()]
    body = "\n    ".join(ALL_IN_ONE)
    push(world, dict.fromkeys(old) | sample.migration(SQUASHED, None, "all of it", body, "pass"))
    release = cut(world)
    before = " ".join(line.result.sentence for line in readiness(release).missing)

    for kind in ("staging", "production"):
        _stamped(world, client, kind)
    EnvironmentDatabase.objects.update(revisions_at=None)
    DatabaseSync.objects.update(wake_at=timezone.now())
    world.work(lambda: not reread(release).migrations_problem)
    run = lifecycle_actions.migrate_staging(release, actor=world.person("alice"))
    world.work(lambda: not reread(run).is_open)
    release = make_ready(world, release)
    promotion_actions.promote(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == "verifying")
    end(world, release)

    assert "main has revisions that staging lacks" in before and "squashed" in before
    assert {edit["kind"] for edit in release.edits} == {"pruned"} and len(release.edits) == 6
    assert (run.status, run.applied) == ("succeeded", []), "it is noted, and nothing runs"
    assert world.revisions("production") == world.revisions("staging") == [SQUASHED]


def _stamped(world, client, kind: str) -> None:
    """Has that database proven at staging's files, proposed by alice and approved by bob."""

    def row() -> DatabaseStatus:
        return DatabaseStatus.objects.get(environment__kind=kind)

    DatabaseSync.objects.update(wake_at=timezone.now())
    world.work(lambda: is_stampable(row(), "staging"))  # once the pushed files are compared
    clicked(client, world, "alice", f"/databases/{row().pk}/stamp/", branch="staging")
    stamp = Stamp.objects.latest("pk")
    world.work(lambda: bool(reread(stamp).equal) or not stamp.is_open)
    assert stamp.equal == [[SQUASHED]], stamp.sentence
    address = f"/stamps/{stamp.pk}/"
    clicked(client, world, "alice", f"{address}propose/", target=SQUASHED, reason="Squashed.")
    clicked(client, world, "bob", f"{address}approve/", target=SQUASHED)
    world.work(lambda: not reread(stamp).is_open)
    assert world.revisions(kind) == [SQUASHED], stamp.sentence
