"""The board and the release page show what is so, let people do what they may, and stay cheap."""

import re
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from environments.models import EnvironmentDatabase, MigrationRun, Service, ServiceInstance
from portal import audit
from portal.models.audit import AuditEvent
from releases.models.approvals import Approval
from releases.models.checklist import ChecklistItem
from releases.models.promotion import Promotion, PromotionStep
from releases.models.pull_requests import GitHubSync, PullRequest
from releases.models.releases import Release
from tests.factory import (
    BASE,
    CANDIDATE,
    make_advice,
    make_people,
    make_project,
    make_promotion,
    make_release,
    make_run,
)
from tests.reading import squeezed

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def people():
    return make_people()


@pytest.fixture
def alice(people):
    return signed_in(people["alice"])


def signed_in(user):
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def page(client, release):
    return squeezed(client.get(reverse("releases:release", args=[release.pk])))


def queries(context):
    """Executed statements to the database, without those that only begin and end transactions."""
    control = ("SAVEPOINT", "RELEASE SAVEPOINT", "BEGIN", "COMMIT")
    return [
        query["sql"] for query in context.captured_queries if not query["sql"].startswith(control)
    ]


def test_it_sends_people_who_are_not_signed_in_to_the_sign_in_page(client):
    for name in (
        "releases:board",
        "releases:releases",
        "environments:environments",
        "environments:migrations",
        "portal:audit",
    ):
        response = client.get(reverse(name))

        assert response.status_code == 302
        assert response["Location"].startswith("/admin/login/?next=")


def test_a_poll_without_a_session_moves_the_whole_page_to_the_sign_in_page(client, people):
    release = make_release(make_project())

    response = client.get(reverse("releases:release-panels", args=[release.pk]), headers=HTMX)

    assert (response.status_code, response["HX-Redirect"]) == (204, "/admin/login/")


def test_the_page_says_what_stands_between_in_one_sentence(alice, people):
    release = make_release(make_project(), by=people["alice"])

    html = page(alice, release)

    assert "2 checks left before promotion" in html
    assert "but no portal run has verified these 2 migrations yet." in html
    assert re.search(r'id="promote"[^>]* disabled', html)


def test_the_page_offers_promotion_when_nothing_stands_between(alice, people):
    release = make_release(make_project(), by=people["alice"], ready=True)

    html = page(alice, release)

    assert "Ready to promote" in html
    assert not re.search(r'id="promote"[^>]* disabled', html)


def test_promoting_starts_the_promotion_and_comes_back_to_it(alice, people):
    release = make_release(make_project(), by=people["alice"], ready=True)

    response = alice.post(
        reverse("releases:release-do", args=[release.pk, "promote"]),
        {"candidate": release.candidate},
    )

    assert response["Location"] == f"/releases/{release.pk}/"
    assert Promotion.objects.get().steps.count() == 5
    assert "The promotion has started." in page(alice, release)


def test_a_refusal_stands_at_the_top_of_the_page_and_in_the_trail(alice, people):
    release = make_release(make_project(), by=people["alice"])

    html = squeezed(
        alice.post(
            reverse("releases:release-do", args=[release.pk, "promote"]),
            {"candidate": release.candidate},
            follow=True,
        )
    )

    assert re.search(
        r'<ul class="messages" role="alert">\s*<li class="error">.*these 2 migrations', html, re.S
    )
    assert AuditEvent.objects.filter(action="release.promoted", outcome="refused").exists()


def test_what_a_person_may_not_do_is_not_offered_and_not_done(people):
    release = make_release(make_project(), by=people["alice"], ready=True)
    carol = signed_in(people["carol"])

    html = page(carol, release)
    response = carol.post(
        reverse("releases:release-do", args=[release.pk, "promote"]),
        {"candidate": release.candidate},
        follow=True,
    )

    assert 'id="promote"' not in html and "data-tick" not in html and "Edit notes" not in html
    assert "You are not allowed to do this" in squeezed(response)
    assert not Promotion.objects.exists()


def test_a_tick_works_as_a_plain_form(alice, people):
    release = make_release(make_project(), by=people["alice"])
    item = release.items.get(text="Release notes read")

    response = alice.post(
        reverse("releases:item-do", args=[item.pk, "tick"]),
        {f"note-{item.pk}": "with Dana", "candidate": CANDIDATE},
    )

    item.refresh_from_db()
    assert response["Location"] == f"/releases/{release.pk}/#item-{item.pk}"
    assert (item.ticked_by, item.note) == (people["alice"], "with Dana")


def test_a_tick_with_htmx_draws_its_row_and_calls_for_the_panels(alice, people):
    release = make_release(make_project(), by=people["alice"])
    item = release.items.get(text="Release notes read")

    response = alice.post(
        reverse("releases:item-do", args=[item.pk, "tick"]),
        {f"note-{item.pk}": "ok", "candidate": CANDIDATE},
        headers=HTMX,
    )

    html = squeezed(response)
    assert html.strip().startswith(f'<li class="item is-done" id="item-{item.pk}"')
    assert 'aria-checked="true"' in html and "alice: “ok”" in html
    assert response["HX-Trigger"] == "portal:changed"


def test_a_tick_that_somebody_else_made_first_keeps_their_name(people):
    release = make_release(make_project(), by=people["alice"])
    item = release.items.get(text="Release notes read")
    address = reverse("releases:item-do", args=[item.pk, "tick"])
    signed_in(people["alice"]).post(address, {"candidate": CANDIDATE}, headers=HTMX)

    html = squeezed(signed_in(people["bob"]).post(address, {"candidate": CANDIDATE}, headers=HTMX))

    assert "alice" in html and "bob" not in html


def test_a_refused_tick_says_why_beside_its_control(people):
    release = make_release(make_project(), by=people["alice"])
    item = release.items.get(text="Release notes read")

    response = signed_in(people["carol"]).post(
        reverse("releases:item-do", args=[item.pk, "tick"]), {"candidate": CANDIDATE}, headers=HTMX
    )

    assert response.status_code == 200 and "HX-Trigger" not in response
    assert "You are not allowed to do this" in squeezed(response)


def test_an_untick_takes_the_tick_back(alice, people):
    release = make_release(make_project(), by=people["alice"], ready=True)
    item = release.items.get(text="Release notes read")

    html = squeezed(alice.post(reverse("releases:item-do", args=[item.pk, "untick"]), headers=HTMX))

    assert 'aria-checked="false"' in html
    assert ChecklistItem.objects.get(pk=item.pk).ticked_at is None


def test_a_tick_costs_one_request_and_at_most_eight_queries(alice, people):
    release = make_release(make_project(), by=people["alice"])
    item = release.items.get(text="Release notes read")

    with CaptureQueriesContext(connection) as seen:
        response = alice.post(
            reverse("releases:item-do", args=[item.pk, "tick"]),
            {"candidate": CANDIDATE},
            headers=HTMX,
        )

    assert response.status_code == 200
    assert len(queries(seen)) <= 8, "\n".join(queries(seen))


def a_large_release(people):
    services = tuple(f"service-{n:02}" for n in range(12))
    release = make_release(make_project(services=services), by=people["alice"], ready=True)
    ChecklistItem.objects.bulk_create(
        ChecklistItem(
            release=release,
            text=f"Item {n}",
            phase="before" if n % 2 else "after",
            position=200 + n,
        )
        for n in range(60 - release.items.count())
    )
    with transaction.atomic():
        for n in range(300):
            audit.record(
                "release.looked_at", actor=people["bob"], subject=release, sentence=f"Look {n}."
            )
    return release


@pytest.mark.parametrize("state", ["open", "promoting", "failed", "verifying"])
def test_the_release_page_takes_at_most_fifteen_queries_whatever_the_counts(alice, people, state):
    release = a_large_release(people)
    if state != "open":
        make_promotion(release, by=people["alice"], at="migrate", failed=state == "failed")
        run = make_run(release.project, kind="production", status="running")
        PromotionStep.objects.filter(name="migrate").update(migration_run=run)
    if state == "verifying":
        Release.objects.filter(pk=release.pk).update(status="verifying")

    for name in ("releases:release", "releases:release-panels"):
        with CaptureQueriesContext(connection) as seen:
            response = alice.get(reverse(name, args=[release.pk]))

        assert response.status_code == 200
        assert len(queries(seen)) <= 15, f"{len(queries(seen))}: " + "\n".join(queries(seen))


def test_the_board_takes_the_same_queries_for_many_projects_as_for_two(alice, people):
    counts = []
    for upto in (2, 12):
        for n in range(upto - ((counts and 2) or 0)):
            make_release(make_project(f"p-{upto}-{n}"), by=people["alice"])
        with CaptureQueriesContext(connection) as seen:
            assert alice.get("/").status_code == 200
        counts.append(len(queries(seen)))

    assert counts[0] == counts[1] <= 15


def test_a_gate_shows_its_evidence_and_age_in_its_row(alice, people):
    html = page(alice, make_release(make_project(), by=people["alice"]))

    row = html[html.index("Staging is healthy at the candidate") :]
    assert "backend and frontend serve the candidate 3f2a1c9." in row
    assert "<dt>backend</dt><dd>live at 3f2a1c9</dd>" in row
    assert "data-age" in row


def test_what_lapsed_when_the_candidate_moved_is_shown(alice, people):
    release = make_release(make_project(), by=people["alice"], ready=True)
    release.items.filter(gate="", phase="before").update(lapsed_at=timezone.now())
    moved = {
        "from": BASE,
        "to": CANDIDATE,
        "at": timezone.now().isoformat(),
        "lapsed": ["Release notes read"],
    }
    Release.objects.filter(pk=release.pk).update(moved=moved)

    html = page(alice, release)

    assert "The candidate moved from" in html and "Ticks that lapsed: Release notes read." in html


def test_a_stopped_step_says_what_the_world_looks_like_and_what_can_be_done(alice, people):
    release = make_release(make_project(), by=people["alice"], ready=True)
    make_promotion(release, by=people["alice"], at="deploy", failed=True)

    html = page(alice, release)

    assert "Deploy failed." in html and "The merge is done" in html
    for verb in ("retry-step", "deploy-commit", "skip-step", "abandon-promotion"):
        assert reverse("releases:release-do", args=[release.pk, verb]) in html


def test_the_merge_cannot_be_skipped_from_the_page(alice, people):
    release = make_release(make_project(), by=people["alice"], ready=True)
    make_promotion(release, by=people["alice"], at="merge", failed=True)

    html = page(alice, release)

    assert reverse("releases:release-do", args=[release.pk, "retry-step"]) in html
    assert reverse("releases:release-do", args=[release.pk, "skip-step"]) not in html


def test_retry_lets_the_failed_step_look_again(alice, people):
    release = make_release(make_project(), by=people["alice"], ready=True)
    make_promotion(release, by=people["alice"], at="deploy", failed=True)

    alice.post(reverse("releases:release-do", args=[release.pk, "retry-step"]))

    assert PromotionStep.objects.get(name="deploy").status == "pending"


def test_a_second_person_approves_and_the_one_who_cut_cannot(people):
    release = make_release(make_project(required_approvals=1), by=people["alice"], ready=True)
    bob = signed_in(people["bob"])

    assert 'id="approve"' in page(bob, release)
    bob.post(
        reverse("releases:release-do", args=[release.pk, "approve"]),
        {"comment": "looks right", "candidate": CANDIDATE},
    )

    assert Approval.objects.get().comment == "looks right"
    assert "“looks right”" in page(bob, release)


def test_staging_is_migrated_from_the_page(alice, people):
    release = make_release(make_project(), by=people["alice"])

    alice.post(
        reverse("releases:release-do", args=[release.pk, "migrate-staging"]),
        {"candidate": CANDIDATE},
    )

    run = MigrationRun.objects.get()
    html = page(alice, release)
    assert run.environment.kind == "staging"
    assert (
        reverse("environments:migration-log", args=[run.pk]) in html
        and "Staging is being migrated" in html
    )


def test_key_pages_lie_on_productions_frontend(alice, people):
    release = make_release(
        make_project(), by=people["alice"], status="verifying", merge_commit=CANDIDATE
    )

    html = page(alice, release)

    assert (
        '<a href="https://frontend-production.up.railway.app/signals" rel="noopener noreferrer"'
        in html
    )


def test_key_pages_on_this_machine_use_plain_http(alice, people):
    release = make_release(
        make_project(), by=people["alice"], status="verifying", merge_commit=CANDIDATE
    )
    ServiceInstance.objects.filter(environment__kind="production").update(
        domains=["127.0.0.1:4999"]
    )

    assert '<a href="http://127.0.0.1:4999/signals"' in page(alice, release)


def test_what_comes_from_outside_is_escaped_and_its_links_are_web_addresses(alice, people):
    release = make_release(make_project(), by=people["alice"], notes="<b>x</b>")
    PullRequest.objects.filter(number=128).update(
        title="<script>alert(1)</script>", url="javascript:alert(1)"
    )

    html = page(alice, release)

    assert "<script>alert" not in html and "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "javascript:" not in html and "<b>x</b>" not in html


def test_no_page_holds_inline_style_or_script(alice, people):
    release = make_release(make_project(), by=people["alice"], ready=True)
    make_promotion(release, by=people["alice"], at="deploy", failed=True)
    run = make_run(release.project)

    for address in (
        "/",
        "/releases/",
        f"/releases/{release.pk}/",
        "/environments/",
        f"/migrations/{run.pk}/",
        "/audit/",
    ):
        html = squeezed(alice.get(address))

        assert not re.search(r"""\sstyle=|\son[a-z]+=["']|<style|<script(?![^>]*\ssrc=)""", html), (
            address
        )


def test_the_poll_goes_fast_while_something_runs_and_stops_at_the_end(alice, people):
    release = make_release(make_project(), by=people["alice"], ready=True)
    address = reverse("releases:release-panels", args=[release.pk])
    quiet = squeezed(alice.get(address))
    make_promotion(release, by=people["alice"])
    busy = squeezed(alice.get(address))
    Release.objects.filter(pk=release.pk).update(status="done")
    ended = squeezed(alice.get(address))

    assert "every 10s" in quiet and "every 2s" in busy and "data-poll" not in ended


def test_the_notes_are_written_and_shown(alice, people):
    release = make_release(make_project(), by=people["alice"])

    alice.post(
        reverse("releases:release-do", args=[release.pk, "notes"]), {"notes": "Prices\n\nnew page"}
    )

    assert "<p>Prices</p>" in page(alice, release)


@pytest.mark.parametrize("text", ["a\x00b", "x" * 30_000, "naïve – \u202e", ""])
def test_odd_texts_end_in_a_sentence_never_in_an_error(alice, people, text):
    release = make_release(make_project(), by=people["alice"])
    item = release.items.get(text="Release notes read")

    for address, field in (
        (reverse("releases:item-do", args=[item.pk, "tick"]), f"note-{item.pk}"),
        (reverse("releases:release-do", args=[release.pk, "abandon"]), "reason"),
    ):
        assert alice.post(address, {field: text}, follow=True).status_code == 200


def test_an_unknown_release_or_action_is_not_found(alice, people):
    release = make_release(make_project(), by=people["alice"])

    assert alice.get("/releases/999999/").status_code == 404
    assert alice.get(f"/releases/{'9' * 30}/").status_code == 404
    assert alice.post(f"/releases/{release.pk}/explode/").status_code == 404
    assert "Go to the board" in squeezed(alice.get("/releases/999999/"))


def test_an_address_of_an_action_that_is_merely_opened_changes_nothing(alice, people):
    release = make_release(make_project(), by=people["alice"], ready=True)

    response = alice.get(
        reverse("releases:release-do", args=[release.pk, "promote"]),
        {"candidate": release.candidate},
    )

    assert response.status_code == 405 and not Promotion.objects.exists()


def test_the_board_shows_staging_production_and_what_stands_between(alice, people):
    release = make_release(make_project(), by=people["alice"])
    message = "2 checks left before promotion of 2026.11.22-1. Migrations."
    type(release.reconciler).objects.update(
        verdict_sha=CANDIDATE, verdict_state="pending", verdict_sentence=message
    )

    html = squeezed(alice.get("/"))

    assert message in html and "3f2a1c9" in html and "b07d4e2" in html
    assert "1 checklist item open in 2026.11.22-1" in html


@pytest.mark.parametrize(("gate", "waits"), [("approved", True), ("not_frozen", False)])
def test_an_approval_is_a_to_do_when_it_is_what_is_missing_whatever_a_sentence_says(
    people, gate, waits
):
    release = make_release(make_project(required_approvals=1), by=people["alice"])
    ChecklistItem.objects.filter(release=release, gate="").delete()
    told = {
        "verdict_sha": CANDIDATE,
        "verdict_state": "pending",
        "verdict_sentence": "Frozen until the approval.",
    }
    type(release.reconciler).objects.update(**told, verdict_gate=gate)

    html = signed_in(people["bob"]).get("/").content.decode()

    assert ("needs an approval" in html) == waits


def test_the_board_cuts_a_release_where_staging_is_ahead(alice, people):
    make_project()

    html = squeezed(alice.get("/"))
    response = alice.post(
        reverse("releases:project-do", args=["inspector", "cut"]), {"seen": CANDIDATE}
    )

    assert "Create release" in html
    assert response["Location"] == reverse("releases:release", args=[Release.objects.get().pk])


def test_the_board_offers_no_cut_where_nothing_is_ahead(alice, people):
    make_project(staging=BASE)

    html = squeezed(alice.get("/"))

    assert "Create release" not in html and "nothing to release" in html


def test_the_board_says_which_source_cannot_be_read(alice, people):
    project = make_project()
    GitHubSync.objects.filter(project=project).update(
        problem="GitHub refuses the token.", synced_at=timezone.now() - timedelta(hours=1)
    )

    html = squeezed(alice.get("/"))

    assert "GitHub refuses the token." in html and "too old to rely on" in html


def test_an_empty_portal_says_what_to_do(people):
    assert "Connect a project" in squeezed(signed_in(people["dave"]).get("/"))


def test_the_list_of_releases_is_paged(alice, people):
    project = make_project()
    Release.objects.bulk_create(
        Release(project=project, name=f"old-{n}", status="done", candidate=CANDIDATE, base=BASE)
        for n in range(60)
    )

    first = squeezed(alice.get("/releases/"))
    older = squeezed(alice.get("/releases/?" + re.search(r'href="\?(before=\d+)"', first)[1]))

    assert "old-59" in first and "old-5<" not in first
    assert "old-5<" in older and "old-59" not in older


def test_long_and_foreign_names_are_shown_whole(alice, people):
    name = "名" * 100 + "x" * 100
    release = make_release(make_project(), by=people["alice"])
    Service.objects.filter(name="backend").update(name=name)
    EnvironmentDatabase.objects.filter(environment__kind="staging").update(
        revisions_problem="The database does not answer."
    )

    html = page(alice, release)

    assert name in html and "The database does not answer." in html


@pytest.mark.parametrize(
    ("who", "verb", "fields"),
    [
        ("alice", "promote", {}),
        ("alice", "migrate-staging", {}),
        ("bob", "approve", {"comment": "c"}),
        ("bob", "accept-risk", {"revision": "3c9d56f82e10", "sha256": "5d" * 32, "reason": "r"}),
        ("alice", "request-rollback", {"reason": "r"}),
        ("alice", "request-downgrade", {"reason": "r", "typed": "t"}),
    ],
)
@pytest.mark.parametrize("seen", [None, "", "f" * 40])
def test_what_does_not_say_what_was_seen_or_names_another_is_refused(
    people, who, verb, fields, seen
):
    in_production = verb.startswith("request")
    release = make_release(make_project(), by=people["alice"], ready=not in_production)
    if in_production:
        make_promotion(release, by=people["alice"], at="deploy", failed=True)
        make_advice(release)
    name = "content" if in_production else "candidate"
    client = signed_in(people[who])
    before = AuditEvent.objects.count()

    client.post(
        reverse("releases:release-do", args=[release.pk, verb]),
        fields | ({} if seen is None else {name: seen}),
    )

    [event] = AuditEvent.objects.filter(position__gt=before)
    assert event.outcome == "refused"
    wanted = "Reload the page" if not seen else r"since you opened this page"
    assert re.search(wanted, event.sentence), event.sentence


@pytest.mark.parametrize(("seen", "made"), [(None, 0), ("", 0), ("f" * 40, 0), (CANDIDATE, 1)])
def test_a_release_is_cut_of_what_was_seen_on_the_board(people, seen, made):
    make_project()

    signed_in(people["alice"]).post(
        reverse("releases:project-do", args=["inspector", "cut"]),
        {} if seen is None else {"seen": seen},
    )

    assert Release.objects.count() == made


@pytest.mark.parametrize(
    ("seen", "ticked"), [(None, False), ("", False), ("f" * 40, False), (CANDIDATE, True)]
)
def test_a_tick_is_for_what_was_seen(people, seen, ticked):
    release = make_release(make_project(), by=people["alice"])
    item = release.items.get(text="Release notes read")

    signed_in(people["alice"]).post(
        reverse("releases:item-do", args=[item.pk, "tick"]),
        {} if seen is None else {"candidate": seen},
    )

    assert ChecklistItem.objects.get(pk=item.pk).is_ticked is ticked
