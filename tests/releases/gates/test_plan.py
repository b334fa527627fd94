"""What the release page shows of a plan, and who may accept its risks."""

from dataclasses import asdict

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from environments.schema.plan.render import Rendered, Statement, Step, steps_as_json
from environments.schema.plan.risk import Risk
from portal.models.audit import AuditEvent
from portal.ui.actions import NotPermitted, Refused
from releases import gates
from releases.approvals import actions
from releases.gates.context import facts_of
from releases.models.approvals import RiskAcceptance
from tests.factory import REVISIONS, make_people, make_plan_row, make_project, make_release
from tests.reading import squeezed

pytestmark = pytest.mark.django_db
FIRST, SECOND = REVISIONS
NAMED = {"revision": FIRST["id"], "sha256": FIRST["sha256"]}


@pytest.fixture
def people():
    return make_people()


def a_release(people, **values):
    """A ready release by alice whose first migration drops a column that holds “<b>”."""
    release = make_release(make_project(), by=people["alice"], ready=True)
    drop = Rendered((Statement('ALTER TABLE events DROP COLUMN "<b>"'),))
    back = Rendered((), "raised", "Line 9: NotImplementedError.")
    steps = [
        Step(
            revision["id"],
            revision["path"],
            revision["sha256"],
            revision["message"],
            False,
            drop,
            back,
        )
        for revision in REVISIONS
    ]
    risk = Risk(
        "drop-column",
        "danger",
        **NAMED,
        sentence="Drops a column of events.",
        loses_data=True,
        breaks_old=True,
    )
    met = {"tables": {"events": {"rows": 41_000_000, "size": 9_200_000_000}}, "longest_s": 720.0}
    known = {"steps": steps_as_json(steps), "risks": [asdict(risk)], "met": met}
    make_plan_row(release, **(known | values))
    return release


def page(user, release):
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return squeezed(client.get(reverse("releases:release", args=[release.pk])))


def test_the_page_shows_sql_risks_and_the_way_back(people):
    html = page(people["bob"], a_release(people))

    shown = strip_tags(html)  # the highlighting is spans
    assert "ALTER TABLE events DROP COLUMN &quot;&lt;b&gt;&quot;;" in shown
    assert "-- Line 9: NotImplementedError." in html
    assert "✕</span> danger</span> Drops a column of events." in html
    assert (
        "In production: events 9.2 GB. A transaction was open for 12 min; locks wait for it."
        in html
    )
    assert "roll forward only" in html and "a downgrade does not restore" in html
    assert "style=" not in html


def test_an_approver_accepts_from_the_page_and_promotion_opens(people):
    release = a_release(people)
    client = Client()
    client.force_login(people["bob"], backend="django.contrib.auth.backends.ModelBackend")
    before = gates.readiness_of(facts_of(release.pk)).ready

    answer = client.post(
        reverse("releases:release-do", args=[release.pk, "accept-risk"]),
        NAMED | {"candidate": release.candidate, "reason": "<i>unused</i>"},
    )

    assert not before and gates.readiness_of(facts_of(release.pk)).ready
    assert answer["Location"].endswith("#migrations")
    assert "“&lt;i&gt;unused&lt;/i&gt;”" in page(people["alice"], release)
    event = AuditEvent.objects.get(action="risk.accepted")
    assert (event.actor_name, event.data["risks"]) == ("bob", ["danger drop-column"])


def test_the_form_is_offered_to_approvers_who_did_not_cut_the_release(people):
    release = a_release(people)

    assert "Accept risks of" in page(people["bob"], release)
    assert "Accept risks of" not in page(people["alice"], release)
    assert "Accept risks of" not in page(people["carol"], release)


def test_it_refuses_an_acceptance_that_would_prove_nothing(people):
    release = a_release(people)
    bob = people["bob"]

    with pytest.raises(NotPermitted):
        actions.accept_risk(release, actor=people["alice"], **NAMED, reason="because")
    with pytest.raises(Refused, match="a second person must"):
        actions.accept_risk(release, actor=None, **NAMED, reason="because")
    with pytest.raises(Refused, match="Give a reason"):
        actions.accept_risk(release, actor=bob, **NAMED, reason=" ")
    with pytest.raises(Refused, match="file has changed"):
        actions.accept_risk(
            release, actor=bob, revision=FIRST["id"], sha256="0" * 64, reason="because"
        )
    with pytest.raises(Refused, match="has no open risk"):
        actions.accept_risk(
            release, actor=bob, revision=SECOND["id"], sha256=SECOND["sha256"], reason="because"
        )
    make_plan_row(release, status="running")
    with pytest.raises(Refused, match="being analyzed"):
        actions.accept_risk(release, actor=bob, **NAMED, reason="because")

    assert not RiskAcceptance.objects.exists()
    assert AuditEvent.objects.filter(action="risk.accepted", outcome="refused").count() == 6


def test_an_acceptance_does_not_count_for_whoever_cut_the_release_or_left(people):
    release = a_release(people)
    actions.accept_risk(release, actor=people["bob"], **NAMED, reason="because")
    counts = [gates.GATES["migration_risks"](facts_of(release.pk)).state]

    type(release).objects.filter(pk=release.pk).update(cut_by=people["bob"])
    counts.append(gates.GATES["migration_risks"](facts_of(release.pk)).state)
    type(release).objects.filter(pk=release.pk).update(cut_by=people["alice"])
    User.objects.filter(username="bob").update(is_active=False)
    counts.append(gates.GATES["migration_risks"](facts_of(release.pk)).state)

    assert counts == [gates.PASS, gates.ATTEST, gates.ATTEST]


def test_an_acceptance_that_lapsed_says_why(people):
    release = a_release(people)
    actions.accept_risk(release, actor=people["bob"], **NAMED, reason="because")
    RiskAcceptance.objects.update(
        lapsed_at=timezone.now(), lapsed_why="configuration changed: runner"
    )

    shown = page(people["bob"], release)

    assert "lapsed: configuration changed: runner" in shown and "“because”" in shown
    assert "Accept risks of" in shown, "it can be given again"
