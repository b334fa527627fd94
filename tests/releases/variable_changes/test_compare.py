"""What the release page says of variables since the last release: names only, and nothing it
cannot know.
"""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from environments.models import Environment, Variable
from releases.models.reconciler import KeptVariables, ReleaseReconciler
from releases.models.releases import Release
from releases.promotion import actions
from releases.variable_changes import compare
from tests.environments.variables.test_variables import put
from tests.factory import CANDIDATE, MERGE, make_people, make_project, make_release
from tests.reading import squeezed

pytestmark = pytest.mark.django_db


@pytest.fixture
def people():
    return make_people()


@pytest.fixture
def shipped(people):
    """A release that reached production with three variables."""
    release = make_release(make_project(), by=people["alice"], ready=True)
    put("production", "backend", "DATABASE_URL", "postgresql://one-secret/db")
    put("production", "backend", "OLD_FLAG", "1")
    put("staging", None, "SHARED", "x")
    put("production", "backend", "STRIPE_KEY", None)
    compare.keep(release, now=timezone.now())
    Release.objects.filter(pk=release.pk).update(status="done", merge_commit=MERGE)
    return Release.objects.get(pk=release.pk)


def next_release(people, shipped, **values):
    return make_release(shipped.project, by=people["alice"], **values)


def drift(release):
    reconciler, _ = ReleaseReconciler.objects.get_or_create(release=release)
    compare.compare(reconciler)
    reconciler.refresh_from_db()
    return compare.drift(reconciler.drift)


def told(release):
    return [(line.kind, line.service, line.name, line.change) for line in drift(release).lines]


def test_what_was_added_removed_and_changed_is_told_by_name(people, shipped):
    release = next_release(people, shipped)
    untouched = drift(release)

    Variable.objects.filter(name__in=["OLD_FLAG", "DATABASE_URL"]).delete()
    put("production", "backend", "DATABASE_URL", "postgresql://other-secret/db")
    put("staging", "frontend", "NEW_FLAG", "1")

    assert (untouched.since, untouched.lines, untouched.problem) == (shipped.name, (), "")
    assert told(release) == [
        ("production", "backend", "DATABASE_URL", "changed"),
        ("production", "backend", "OLD_FLAG", "removed"),
        ("staging", "frontend", "NEW_FLAG", "added"),
    ]


def test_the_page_shows_names_and_neither_value_nor_fingerprint(people, shipped):
    release = next_release(people, shipped)
    Variable.objects.filter(name="DATABASE_URL").delete()
    put("production", "backend", "DATABASE_URL", "postgresql://other-secret/db")
    drift(release)
    alice = Client()
    alice.force_login(people["alice"], backend="django.contrib.auth.backends.ModelBackend")

    html = squeezed(alice.get(f"/releases/{release.pk}/"))

    row = Variable.objects.get(name="DATABASE_URL")
    assert (
        "Variables since the last release" in html
        and "<code>DATABASE_URL</code> of backend in production" in html
    )
    assert row.fingerprint not in html and "other-secret" not in html
    assert "one-secret" not in repr(KeptVariables.objects.values())


def test_a_promotion_keeps_the_variables_and_the_next_release_is_held_against_them(people):
    release = make_release(make_project(), by=people["alice"], ready=True)
    put("production", "backend", "FLAG", "1")

    actions.promote(release, actor=people["alice"], candidate=CANDIDATE)

    kept = KeptVariables.objects.get()
    assert kept.release == release and kept.read == ["production", "staging"]
    assert [row["name"] for row in kept.rows] == ["FLAG"]


def test_a_shipped_release_keeps_telling_what_it_was_shipped_with(people, shipped):
    second = next_release(people, shipped)
    put("production", "backend", "NEW_FLAG", "1")
    compare.keep(second, now=timezone.now())
    Release.objects.filter(pk=second.pk).update(status="done", merge_commit=CANDIDATE)
    second.refresh_from_db()

    Variable.objects.all().delete()

    assert told(second) == [("production", "backend", "NEW_FLAG", "added")]


def test_what_was_never_read_or_kept_is_not_called_a_change(people, shipped, settings):
    first = drift(shipped)
    release = next_release(people, shipped)
    Variable.objects.all().delete()
    Environment.objects.filter(kind="production").update(variables_at=None)
    partly = told(release)
    settings.SECRET_KEY = "another-key-than-before"
    other_key = drift(release)

    assert (first.since, first.lines) == ("", ())
    assert partly == [("staging", "", "SHARED", "removed")]
    assert other_key.lines == () and "SECRET_KEY was changed" in other_key.problem


def test_a_release_that_never_reached_production_is_not_compared_with(people, shipped):
    Release.objects.filter(pk=shipped.pk).update(status="abandoned", merge_commit="")

    assert drift(next_release(people, shipped)).since == ""


def test_it_is_one_query_that_answers_with_a_bounded_number_of_lines(people, shipped):
    reconciler, _ = ReleaseReconciler.objects.get_or_create(release=next_release(people, shipped))
    environment = Environment.objects.get(kind="production")
    Variable.objects.bulk_create(
        Variable(environment=environment, name=f"V{n:04}", fingerprint="f" * 64) for n in range(500)
    )

    with CaptureQueriesContext(connection) as seen:
        compare.compare(reconciler)
    reconciler.refresh_from_db()
    with CaptureQueriesContext(connection) as unchanged:
        compare.compare(reconciler)

    found = compare.drift(reconciler.drift)
    assert (len(seen), len(unchanged)) == (2, 1)
    assert len(found.lines) == compare.MOST_LINES and found.more
