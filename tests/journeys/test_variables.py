"""Variables from the stand-in, through the slow job, to findings and the gate."""

from datetime import timedelta

import pytest
from django.utils import timezone

from environments.finding_kinds.registry import beside
from environments.models import ConnectionCheck, Environment, Finding, Variable, VariableSync
from portal import jobs
from portal.sandbox.server import Fault
from releases import gates
from releases.gates.context import facts_of
from tests.journeys.test_release import cut

pytestmark = pytest.mark.slow


def read_again(world) -> None:
    """The next reading of variables, now."""
    at = timezone.now()
    Environment.objects.update(variables_etag="read them again")
    jobs.wake_now(VariableSync.objects.get())
    world.work(lambda: Environment.objects.filter(variables_at__gt=at, gone_at=None).count() == 2)


def opened() -> dict[str, bool]:
    """What is open and bears on the release, which the protections of branches do not."""
    findings = Finding.objects.filter(closed_at=None).exclude(kind__in=beside())
    return dict(findings.values_list("sentence", "attestable"))


def test_the_samples_variables_are_mirrored_and_hinder_no_release(world):
    for kind in ("staging", "production"):
        world.railway.set_variable(kind, "backend", "STRIPE_KEY", "sealed-value", sealed=True)
        world.railway.set_variable(
            kind, "frontend", "API_URL", "http://${{backend.RAILWAY_PUBLIC_DOMAIN}}"
        )

    release = cut(world)
    world.work(lambda: gates.GATES["environments_coherent"](facts_of(release.pk)).passed)
    world.work(lambda: ConnectionCheck.objects.get().checked_at is not None)

    kept = repr(list(Variable.objects.values()))
    assert opened() == {}
    assert Variable.objects.filter(name="STRIPE_KEY", sealed=True, fingerprint="").count() == 2
    assert "sealed-value" not in kept and "postgresql://" not in kept
    assert {check["state"] for check in ConnectionCheck.objects.get().found} == {"pass"}


def test_an_address_of_production_in_staging_stops_the_release_until_it_is_put_right(world):
    world.railway.set_variable(
        "production", "frontend", "API_URL", "http://${{backend.RAILWAY_PUBLIC_DOMAIN}}"
    )
    release = cut(world)
    live = world.railway.address("backend", "production")
    world.railway.set_variable("staging", "frontend", "API_URL", live)

    read_again(world)
    wrong, gate = opened(), gates.GATES["environments_coherent"](facts_of(release.pk))
    world.railway.set_variable(
        "staging", "frontend", "API_URL", "http://backend.railway.internal:8000"
    )
    read_again(world)

    assert list(wrong.values()) == [False] and "leads to backend in production" in next(iter(wrong))
    assert gate.state == gates.FAIL
    assert opened() == {}


def test_a_sealed_address_waits_for_a_persons_word(world):
    for kind in ("staging", "production"):
        world.railway.set_variable(
            kind, "frontend", "API_URL", "http://${{backend.RAILWAY_PUBLIC_DOMAIN}}"
        )
    release = cut(world)
    world.railway.set_variable("staging", "frontend", "API_URL", "https://x.example", sealed=True)

    read_again(world)

    assert set(opened().values()) == {True}
    assert gates.GATES["environments_coherent"](facts_of(release.pk)).state == gates.ATTEST


def test_while_variables_cannot_be_read_nothing_is_green_and_nothing_is_forgotten(world):
    release = cut(world)
    world.work(lambda: gates.GATES["environments_coherent"](facts_of(release.pk)).passed)
    before = Variable.objects.count()
    Environment.objects.update(variables_at=timezone.now() - timedelta(hours=2))
    world.railway_server.faults.append(Fault("html", body="VariablesOfPlaces", times=1000))
    jobs.wake_now(VariableSync.objects.get())

    world.work(lambda: VariableSync.objects.get().problem != "")

    assert gates.GATES["environments_coherent"](facts_of(release.pk)).state == gates.PENDING
    assert Variable.objects.count() == before > 0
