# ruff: noqa: S311 - chance decides an order here
"""Twelve services in ten environments, written by several at once: nobody waits in a circle."""

import random
import threading
from datetime import UTC, datetime

import pytest
from django.db import DatabaseError, connection, transaction

from environments.findings.actions import resolve_finding
from environments.models import Environment, Finding, Project, Service, Variable
from environments.railway import Environment as State
from environments.railway import ProjectTree, Trigger
from environments.railway import Service as Made
from environments.railway import ServiceInstance as Instance
from environments.railway_mirror import sync as mirror_sync
from environments.variables import sync as variables_sync
from portal.outbound.credentials import Secret
from tests.factory import make_people, make_project

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
SERVICES = [f"service-{n:02}" for n in range(12)]
ENVIRONMENTS = ["staging", "production", *(f"pr-{n}" for n in range(8))]
ROUNDS = 4


def tree(dice: random.Random) -> ProjectTree:
    """The project as Railway tells it: in any order, its triggers moving."""
    places = [_environment(name, dice) for name in dice.sample(ENVIRONMENTS, len(ENVIRONMENTS))]
    services = tuple(Made(name, name) for name in dice.sample(SERVICES, len(SERVICES)))
    return ProjectTree("p", "inspector", None, services, tuple(places), True, ())


def _environment(name: str, dice: random.Random) -> State:
    known = dict.fromkeys(State.__dataclass_fields__)
    shuffled = dice.sample(SERVICES, len(SERVICES))
    known |= {
        "id": name,
        "name": name,
        "can_access": True,
        "is_ephemeral": name.startswith("pr-"),
        "created_at": NOW,
        "config_etag": "",
        "triggers": tuple(
            Trigger(f"t-{one}", one, "acme/inspector", dice.choice("ab")) for one in shuffled
        ),
        "instances": tuple(
            Instance(f"{name}-{one}", one, one, name, repo="acme/inspector") for one in shuffled
        ),
    }
    return State(**known)


def read_variables(project: Project, dice: random.Random) -> None:
    environments = list(Environment.objects.filter(project=project))
    services = list(Service.objects.filter(project=project, gone_at=None))
    for environment in dice.sample(environments, len(environments)):
        chosen = [None, *dice.sample(services, len(services))]
        places = [variables_sync.Place(environment, one) for one in chosen]
        names = dice.sample(["A", "B", "DATABASE_URL", "SECRET"], 3)
        answers = {
            place.key: {name: Secret(str(dice.random())) for name in names} for place in places
        }
        variables_sync._keep(project, environment, places, answers, NOW)


def resolve(project: Project, dice: random.Random) -> None:
    dave = make_people()["dave"]
    for finding in Finding.objects.open().filter(project=project)[:20]:
        with transaction.atomic():
            resolve_finding(finding, actor=dave, reason="known", now=NOW)


def write(project: Project, dice: random.Random) -> None:
    mirror_sync.apply(project, tree(dice), now=NOW)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_writers_at_the_same_time_end_without_a_deadlock(monkeypatch):
    project = make_project(services=())
    make_people()
    mirror_sync.apply(project, tree(random.Random(0)), now=NOW)
    read_variables(project, random.Random(0))
    wrong: list[str] = []

    def work(act, seed):
        dice = random.Random(seed)
        try:
            for _ in range(ROUNDS):
                act(project, dice)
        except DatabaseError as error:
            wrong.append(f"{act.__name__}: {type(error).__name__}: {error}")
        finally:
            connection.close()

    acts = [read_variables, read_variables, write, write, resolve]
    threads = [threading.Thread(target=work, args=(one, n)) for n, one in enumerate(acts)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert wrong == []
    places = Environment.objects.filter(project=project).count() * 13
    assert Variable.objects.filter(environment__project=project).count() == places * 3
