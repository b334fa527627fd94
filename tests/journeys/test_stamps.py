"""A database that was adopted, and one whose history was squashed: proven, stamped by two people,
and shipped from there.
"""

import psycopg
import pytest
from django.utils import timezone

from environments.models import DatabaseStatus, DatabaseSync, EnvironmentDatabase, Stamp
from portal.models.audit import AuditEvent
from tests.journeys.world import quick_world
from tests.reading import squeezed

pytestmark = pytest.mark.slow


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
    standing = stands(world, kind, "adopted")
    client.force_login(world.person("alice"))
    page = squeezed(client.get("/migrations/"))
    branch = standing.branch

    asked = clicked(client, world, "alice", f"/databases/{standing.pk}/stamp/", branch=branch)
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
    assert "Nobody has proposed yet" in early and "not among the revisions" in foreign
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
    standing = stands(world, "staging", "adopted")

    clicked(client, world, "alice", f"/databases/{standing.pk}/stamp/", branch="staging")
    stamp = proven(world)
    page = clicked(client, world, "alice", f"/stamps/{stamp.pk}/propose/", target="x", reason="r")

    assert stamp.status == "failed" and stamp.equal == [] and "byhand" in stamp.sentence
    assert "There is nothing to be stamped" in page and "byhand" in page
