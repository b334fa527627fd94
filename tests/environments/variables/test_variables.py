"""The rules for variables, over rows; and the page that compares two environments."""

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from environments.drift import detect
from environments.drift import rules as drift_rules
from environments.models import Environment, Finding, Project, Service, Variable, VariableRule
from environments.variables import fingerprints
from environments.variables import rules as variables_rules
from environments.variables import sync as variables_sync
from portal.outbound.credentials import Secret
from tests.factory import make_people, make_project
from tests.reading import squeezed

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return make_project()


def put(kind: str, service: str | None, name: str, value: str | None) -> None:
    """The variable as a reading would write it; None: sealed."""
    environment = Environment.objects.get(kind=kind)
    owner = Service.objects.get(name=service) if service else None
    secret = None if value is None else Secret(value)
    variables_sync._row(variables_sync.Place(environment, owner), name, secret).save()


def rule(project: Project, kind: str, name: str, **values: str) -> VariableRule:
    return VariableRule.objects.create(project=project, kind=kind, name=name, **values)


def said(project: Project) -> list[tuple[str, bool]]:
    rows = drift_rules.read_rows(project)
    instances = [live.instance for live in rows.lives]
    found = variables_rules.problems(project, rows.environments, instances)
    return [(problem.sentence, problem.attestable) for problem in found]


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("https://api.example.com/v1?x=1", ("api.example.com", "")),
        ("api.example.com:8000", ("api.example.com:8000", "")),
        ("https://API.example.com.:443/", ("api.example.com", "")),
        ("https://api.example.com:99999", ("", "")),
        ("http://user:secret@Backend.railway.internal:8000", ("backend.railway.internal", "")),
        ("https://${{ backend.RAILWAY_PUBLIC_DOMAIN }}/v1", ("", "backend.RAILWAY_PUBLIC_DOMAIN")),
        ("${{backend.URL}}", ("", "backend.URL")),
        ("${{PROTO}}://${{backend.HOST}}:80", ("", "backend.HOST")),
        ("https://api.${{DOMAIN}}", ("", "")),
        ("http://[", ("", "")),
        ("", ("", "")),
    ],
)
def test_the_host_of_an_address(value, host):
    assert fingerprints.host_of(value) == host


def test_a_value_leaves_no_trace_but_its_keyed_fingerprint(project, settings):
    put("staging", "backend", "SECRET", "hunter2-hunter2")
    row = Variable.objects.values().get()

    kept = fingerprints.fingerprint("hunter2-hunter2")
    settings.SECRET_KEY = "another"

    assert "hunter2" not in repr(row) and row["fingerprint"] == kept
    assert fingerprints.fingerprint("hunter2-hunter2") != kept


def test_one_value_in_two_environments_is_found_unless_it_is_allowed(project):
    for kind in ("staging", "production"):
        put(kind, "backend", "DATABASE_URL", "postgresql://u:p@db/x")
    one = rule(project, "separate", "*DATABASE_URL")

    before = said(project)
    VariableRule.objects.filter(pk=one.pk).update(allowed="OTHER, DATABASE_URL")

    assert before == [
        ("DATABASE_URL of backend has the same value in production and staging.", False)
    ]
    assert said(project) == []


def test_different_values_empty_values_and_references_are_separate(project):
    rule(project, "separate", "*")
    for number, kind in enumerate(("staging", "production")):
        put(kind, "backend", "A", f"value-{number}")
        put(kind, "backend", "B", "")
        put(kind, "backend", "C", "http://${{frontend.RAILWAY_PUBLIC_DOMAIN}}")

    assert said(project) == []


def test_a_private_name_is_another_database_in_each_environment_though_the_words_are_the_same(
    project,
):
    rule(project, "separate", "*")
    for kind in ("staging", "production"):
        put(
            kind,
            "backend",
            "DATABASE_URL",
            "postgresql://u:p@frontend.railway.internal:5432/railway",
        )
        put(kind, "backend", "OTHER_URL", "postgresql://u:p@railway.internal.example.org/railway")

    assert [sentence for sentence, _ in said(project)] == [
        "OTHER_URL of backend has the same value in production and staging."
    ]


def test_a_reference_to_one_shared_value_is_followed(project):
    rule(project, "separate", "SECRET_KEY")
    for kind in ("staging", "production"):
        put(kind, "backend", "SECRET_KEY", "${{shared.KEY}}")
        put(kind, None, "KEY", "one-for-all")

    assert [attest for _, attest in said(project)] == [False]


def test_a_sealed_variable_is_asked_about_only_where_a_rule_asks(project):
    for kind in ("staging", "production"):
        put(kind, "backend", "STRIPE_KEY", None)
    variables_sync.start(project)
    without = said(project)
    rule(project, "separate", "STRIPE_KEY")

    assert without == []
    assert [(attest, "sealed" in sentence) for sentence, attest in said(project)] == [(True, True)]


@pytest.mark.parametrize(
    ("value", "wrong", "attest"),
    [
        ("https://backend-staging.up.railway.app/api", "", False),
        ("http://backend.railway.internal:8000", "", False),
        ("http://${{backend.RAILWAY_PUBLIC_DOMAIN}}", "", False),
        ("${{backend.PUBLIC_URL}}", "", False),
        ("https://backend-production.up.railway.app", "leads to backend in production", False),
        ("https://frontend-staging.up.railway.app", "leads to frontend in staging", False),
        ("http://frontend.railway.internal", "leads to frontend in staging", False),
        ("https://api.example.com", "leads to no address of backend", False),
        (
            "https://backend-staging.up.railway.app.evil.example",
            "leads to no address of backend",
            False,
        ),
        (
            "https://backend-staging.up.railway.app@evil.example",
            "leads to no address of backend",
            False,
        ),
        ("${{frontend.RAILWAY_PUBLIC_DOMAIN}}", "leads to frontend", False),
        ("${{backend.NOWHERE}}", "which is not there", False),
        ("${{API_URL}}", "which is not there", False),
        ("", "is no address", False),
        ("https://api.${{backend.DOMAIN}}", "put together of references", True),
        ("${{RAILWAY_SERVICE_BACKEND_URL}}", "which Railway fills in", True),
        (None, "is sealed", True),
    ],
)
def test_where_an_address_leads(project, value, wrong, attest):
    rule(project, "address", "API_URL", service="frontend", target="backend")
    put("staging", "backend", "PUBLIC_URL", "https://${{RAILWAY_PUBLIC_DOMAIN}}")
    put("staging", "frontend", "API_URL", value)

    found = said(project)

    if value == "${{API_URL}}":  # a circle ends, and is not right
        assert [one for _, one in found] == [False]
    elif not wrong:
        assert found == []
    else:
        assert len(found) == 1 and wrong in found[0][0] and found[0][1] is attest


def test_present_everywhere_and_only_here(project):
    rule(project, "present", "API_URL", service="frontend")
    rule(project, "only", "DEBUG", where="staging")
    rule(project, "present", "NOBODY_HAS_THIS")
    put("staging", "frontend", "API_URL", "x")
    put("production", "backend", "DEBUG", "1")

    found = {sentence for sentence, _ in said(project)}

    assert found == {
        "API_URL of frontend is set in staging but not in production.",
        "DEBUG of backend belongs in staging only, and is set in production.",
    }
    states = {verdict.rule.name: verdict.state for verdict in variables_rules.verdicts(project)}
    assert states == {"API_URL": "fail", "DEBUG": "fail", "NOBODY_HAS_THIS": "skipped"}


def test_what_was_never_read_is_not_called_missing_and_what_may_not_be_read_is_attested(project):
    rule(project, "present", "API_URL", service="frontend")
    put("staging", "frontend", "API_URL", "x")
    Environment.objects.filter(kind="production").update(variables_at=None)
    never, unread = said(project), [verdict.state for verdict in variables_rules.verdicts(project)]
    Environment.objects.filter(kind="production").update(
        variables_at=timezone.now(), variables_problem="Not allowed."
    )

    assert (never, unread) == ([], ["wait"])
    assert said(project) == [("Not allowed.", True)]
    assert [verdict.state for verdict in variables_rules.verdicts(project)] == ["wait"]


def test_a_rule_that_is_kept_says_so_on_the_page_and_a_broken_one_says_how(project, alice):
    rule(project, "present", "API_URL", service="frontend")
    for kind in ("staging", "production"):
        put(kind, "frontend", "API_URL", "x")
    kept = squeezed(alice.get("/variables/"))
    Variable.objects.filter(environment__kind="production").delete()
    broken = squeezed(alice.get("/variables/"))

    assert "passed:" in kept.split("rules-h")[-1] and "running:" not in kept
    assert (
        "API_URL of frontend is set in staging but not in production."
        in broken.split("rules-h")[-1]
    )


def test_findings_follow_the_rules_and_a_name_of_any_length_fits(project):
    long = "service-" + "x" * 190
    Service.objects.filter(name="frontend").update(name=long)
    rule(project, "address", "N" * 200, service=long, target="backend")
    put("staging", long, "N" * 200, None)

    detect.compare(project, now=timezone.now())
    opened = Finding.objects.get(closed_at=None)
    put("staging", "backend", "OTHER", "x")
    Variable.objects.filter(name="N" * 200).update(sealed=False)
    detect.compare(project, now=timezone.now())
    wrong = Finding.objects.get(closed_at=None)
    Variable.objects.all().delete()
    detect.compare(project, now=timezone.now())

    assert (opened.kind, opened.attestable) == ("address", True)
    assert (wrong.pk, wrong.attestable) == (opened.pk, False)
    assert not Finding.objects.filter(closed_at=None).exists()


def test_a_rule_that_says_too_little_is_refused(project):
    with pytest.raises(ValidationError, match="must lead to"):
        VariableRule(project=project, kind="address", name="API_URL").full_clean()
    with pytest.raises(ValidationError, match="belongs"):
        VariableRule(project=project, kind="only", name="API_URL").full_clean()


def test_the_default_rules_come_once_and_stay_deleted(project):
    variables_sync.start(project)
    VariableRule.objects.all().delete()

    variables_sync.start(project)

    assert not VariableRule.objects.exists()


@pytest.fixture
def alice():
    client = Client()
    client.force_login(make_people()["alice"], backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_the_page_compares_two_environments_without_a_value(project, alice):
    variables_sync.start(project)
    put("staging", "backend", "ONLY_HERE", "secret-value-one")
    for number, kind in enumerate(("staging", "production")):
        put(kind, "backend", "SAME", "secret-value-two")
        put(kind, "backend", "DIFFERENT", f"secret-value-{number}")
        put(kind, "backend", "SEALED", None)
        put(kind, "backend", "<b>", "${{frontend.X}}")

    few = squeezed(alice.get("/variables/"))
    whole = squeezed(alice.get("/variables/?all=1"))

    assert "secret-value" not in whole and "DIFFERENT" in whole and "DIFFERENT" not in few
    assert all(word in few for word in ("ONLY_HERE", "not set", "sealed", "2 more differ"))
    assert all(word in whole for word in ("frontend.X", "&lt;b&gt;", "same reference"))


def test_the_page_takes_the_same_queries_for_many_variables(project, alice):
    variables_sync.start(project)
    counts = []
    for number in range(2):
        for name in range(20 * number):
            put("staging", "backend", f"V{name}", "x")
        with CaptureQueriesContext(connection) as seen:
            assert alice.get("/variables/?project=inspector&a=1&b=x").status_code == 200
        counts.append(len(seen))

    assert counts[0] == counts[1] <= 13
