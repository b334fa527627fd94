"""A production database in which nothing was ever made gets everything by its first release."""

import psycopg
import pytest

from environments.models import MigrationRun
from releases.models.releases import ReleaseStatus
from releases.promotion import actions as promotion_actions
from tests.journeys.test_release import cut, make_ready, reread

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_truly_empty_production_gets_every_revision_by_its_first_release(world):
    with psycopg.connect(world.databases["production"], autocommit=True) as connection:
        connection.execute("drop schema public cascade; create schema public")
    release = cut(world)
    make_ready(world, release)
    promotion_actions.promote(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == ReleaseStatus.VERIFYING)

    run = MigrationRun.objects.get(environment__kind="production")
    assert world.revisions("production") == world.revisions("staging") == release.heads
    assert run.before == [] and len(run.applied) > len(release.migrations), "also the older ones"
    with psycopg.connect(world.databases["production"]) as connection:
        assert connection.execute("select to_regclass('workspaces')").fetchone() != (None,)
