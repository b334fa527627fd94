"""Staging answers its smoke tests before a promotion, and what it answered holds for exactly
what was asked.
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.urls import reverse

from environments.models import ServiceInstance, SmokeTest
from portal.models.audit import AuditEvent
from releases import gates
from releases.gates.staging_smoke import AskedTest
from releases.models import StagingSmoke
from releases.models.checklist import Phase
from releases.project_settings import smoke_tests
from tests.factory import make_people, make_project, make_release
from tests.portal.audit_page.test_pages import signed_in
from tests.reading import squeezed
from tests.releases.gates.facts import NOW, a_live, a_run, good_facts

TESTS = (AskedTest(1, "backend", "/health", 200, True), AskedTest(2, "frontend", "/", 200, True))


def asked(*, ok: tuple[bool, ...] = (True, True), at=NOW, **changes):
    """Facts in which staging was asked as it is now."""
    facts = good_facts(staging_tests=TESTS, **changes)
    answered = zip(TESTS, ok, strict=False)
    lines = [{"label": f"{t.service} {t.path}", "said": "HTTP", "ok": one} for t, one in answered]
    smoked = StagingSmoke(about=facts.smoke_about, ok=all(ok), asked_at=at, lines=lines)
    return replace(facts, smoked=smoked)


def said(facts) -> tuple[str, str]:
    result = gates.GATES["staging_smoked"](facts)
    return result.state, result.sentence


def test_it_passes_only_when_every_test_was_answered():
    assert said(asked())[0] == "pass"
    assert said(asked(ok=(True, False)))[0] == "fail"
    assert said(asked(ok=(True,)))[0] == "fail"


@pytest.mark.parametrize(
    "change",
    [
        {"release": {"candidate": "e" * 40}},
        {"live": {"staging": (a_live("backend", kind="anew"), a_live("frontend"))}},
        {"runs": (a_run(pk=7),)},
        {"staging_tests": (*TESTS, AskedTest(3, "backend", "/version", 200, True))},
    ],
    ids=["candidate", "deployment", "migration", "tests"],
)
def test_an_answer_lapses_when_what_was_asked_is_no_longer_so(change):
    before = asked()
    after = good_facts(**({"staging_tests": TESTS} | change))

    assert said(replace(after, smoked=before.smoked))[0] == "pending"


def test_an_old_answer_and_a_missing_one_prove_nothing():
    assert said(asked(at=NOW - timedelta(hours=3)))[0] == "pending"
    assert said(good_facts(staging_tests=TESTS))[0] == "pending"


def test_without_a_test_a_person_must_say_so_before_the_first_merge():
    state, sentence = said(good_facts())

    assert state == "attest" and "No smoke test" in sentence
    assert gates.GATES["staging_smoked"](good_facts()).state == "attest"
    assert gates.GATES["staging_smoked"](good_facts(staging_tests=TESTS)).state == "pending"


def test_a_checklist_without_the_item_cannot_leave_it_out_where_tests_exist():
    refused = gates.lines(good_facts(staging_tests=TESTS), Phase.BEFORE)

    assert any(line.gate == "staging_smoked" and not line.done for line in refused)
    assert not any(line.gate == "staging_smoked" for line in gates.lines(asked(), Phase.BEFORE))
    assert not any(
        line.gate == "staging_smoked" for line in gates.lines(good_facts(), Phase.BEFORE)
    )


# Configuring them


@pytest.mark.django_db
def test_the_board_says_that_nothing_is_tested_and_proposes_railways_health_check():
    project, people = make_project(), make_people()
    ServiceInstance.objects.filter(service__name="backend").update(healthcheck_path="/healthz")
    dave = signed_in(people["dave"])

    before = squeezed(dave.get("/"))
    dave.post(
        reverse("releases:project-do", args=[project.slug, "add-smoke-test"]),
        {"service": "backend", "path": "/healthz"},
    )
    after = squeezed(dave.get("/"))

    test = SmokeTest.objects.get()
    assert "No smoke tests:" in before and "Add backend /healthz" in before
    assert (test.service, test.path, test.on_staging, test.on_production) == (
        "backend",
        "/healthz",
        True,
        True,
    )
    assert "No smoke tests:" not in after
    assert AuditEvent.objects.get(action="smoke_test.added").actor_name == "dave"


@pytest.mark.django_db
def test_checklist_and_project_settings_say_it_before_the_first_merge_and_propose():
    project, people = make_project(), make_people()
    ServiceInstance.objects.filter(service__name="backend").update(healthcheck_path="/healthz")
    release = make_release(project, by=people["alice"])
    asks = {"text": "Staging answers its smoke tests", "gate": "staging_smoked"}
    release.items.create(phase=Phase.BEFORE, position=99, **asks)
    dave = signed_in(people["dave"])

    checklist = squeezed(dave.get(reverse("releases:release", args=[release.pk])))
    settings = f"{reverse('releases:settings')}?project={project.slug}"
    before = squeezed(dave.get(settings))
    SmokeTest.objects.create(project=project, service="backend", path="/healthz")
    after = squeezed(dave.get(settings))

    assert "No smoke tests for staging. Add one to the project" in checklist
    assert "No smoke tests:" in before and "Add backend /healthz" in before
    assert "No smoke tests:" not in after and "Add backend /healthz" not in after


@pytest.mark.django_db
def test_the_project_page_says_it_and_nobody_without_the_right_adds_one():
    project, people = make_project(), make_people()
    alice = signed_in(people["alice"])

    page = squeezed(alice.get(f"{reverse('environments:environments')}?project={project.slug}"))
    alice.post(
        reverse("releases:project-do", args=[project.slug, "add-smoke-test"]),
        {"service": "backend", "path": "/"},
    )

    assert "No smoke test is configured" in page
    assert not SmokeTest.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["health", "/a b", ""])
def test_a_path_that_is_none_is_refused_with_a_sentence(path):
    with pytest.raises(smoke_tests.Refused):
        smoke_tests.add(make_project(), actor=None, service="backend", path=path)


@pytest.mark.django_db
def test_a_smoke_test_names_an_environment():
    with pytest.raises(IntegrityError):
        SmokeTest.objects.create(
            project=make_project(), service="x", path="/", on_staging=False, on_production=False
        )
