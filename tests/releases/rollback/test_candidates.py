"""What Railway can bring back on a service, judged from its deployments; what would start; what
goes back with it.
"""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from environments.drift import detect
from environments.models import (
    AtStart,
    Deployment,
    Environment,
    Service,
    ServiceInstance,
    Variable,
    VariableChange,
)
from environments.railway import Deployment as Seen
from environments.services.start_command import at_start
from environments.variables import comparison
from environments.variables import sync as variables_sync
from releases.rollback.candidates import newest_first, restorable
from tests.factory import deploy, make_project

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OLD, NEW, ODD = "a" * 40, "b" * 40, "c" * 40


def seen(
    id: str, commit: str | None = OLD, status: str = "REMOVED", *, kept: bool = True, **values
) -> Seen:
    known = {
        "stopped": False,
        "created_at": NOW,
        "status_updated_at": NOW,
        "url": "",
        "branch": "main",
        "repo": "acme/x",
        "reason": None,
        "instances": (),
    }
    return Seen(
        **known | values | {"id": id, "commit": commit, "status": status, "can_rollback": kept}
    )


LIVE = seen("d9", NEW, "SUCCESS", kept=False)


def judge(*found: Seen, before: dict | None = None, keep: int | None = 24):
    hours = timedelta(hours=keep) if keep else None
    return restorable("backend", "s", found, before=before, released=NEW, keep=hours)


def test_the_noted_deployment_is_restored_and_its_image_is_kept_so_long_after_it_was_replaced():
    one = judge(LIVE, seen("d3"), seen("d2"), before={"deployment": "d2", "commit": OLD})

    assert (one.state, one.deployment, one.commit, one.serves) == ("ready", "d2", OLD, NEW)
    assert one.until == NOW + timedelta(hours=24)


def test_another_deployment_of_the_same_commit_does_as_well():
    one = judge(
        LIVE, seen("d3"), seen("d2", kept=False), before={"deployment": "d2", "commit": OLD}
    )

    assert (one.state, one.deployment) == ("ready", "d3")


@pytest.mark.parametrize(
    ("found", "before", "state"),
    [
        ([LIVE, seen("d2", kept=False)], {"deployment": "d2", "commit": OLD}, "gone"),
        ([LIVE, seen("d2", ODD)], {"deployment": "d1", "commit": OLD}, "gone"),
        ([LIVE], {}, "new"),
        ([seen("d2", OLD, "SUCCESS", kept=False)], {"deployment": "d2", "commit": OLD}, "same"),
        (
            [seen("d9", NEW, "FAILED"), seen("d2", OLD, "SUCCESS")],
            {"deployment": "d2", "commit": OLD},
            "same",
        ),
        (
            [seen("d9", NEW, "CRASHED"), seen("d2", OLD, "SLEEPING")],
            {"deployment": "d2", "commit": OLD},
            "same",
        ),
        (
            [seen("d9", NEW, "BUILDING"), seen("d2", OLD, "SUCCESS")],
            {"deployment": "d2", "commit": OLD},
            "moving",
        ),
        (
            [seen("d9", NEW, "CRASHED"), seen("d2", OLD)],
            {"deployment": "d2", "commit": OLD},
            "ready",
        ),
        (
            [seen("d9", NEW, "FAILED"), LIVE, seen("d2", OLD)],
            {"deployment": "d2", "commit": OLD},
            "ready",
        ),
        # What is on its way would replace what was restored.
        (
            [seen("d10", ODD, "DEPLOYING"), LIVE, seen("d2", OLD)],
            {"deployment": "d2", "commit": OLD},
            "moving",
        ),
        (
            [seen("d9", NEW, "QUEUED"), seen("d2", OLD)],
            {"deployment": "d2", "commit": OLD},
            "moving",
        ),
        ([LIVE, seen("d2", OLD, "REMOVING")], {"deployment": "d2", "commit": OLD}, "ready"),
        ([LIVE, seen("d2", OLD)], None, "ready"),
        ([LIVE], None, "unknown"),
        ([LIVE, seen("d2", None)], None, "unknown"),
        ([seen("d8", ODD, "SUCCESS")], None, "unknown"),
        ([], None, "unknown"),
    ],
)
def test_what_cannot_be_restored_is_said_and_never_guessed(found, before, state):
    assert judge(*found, before=before).state == state


def test_a_failed_deployment_is_named_beside_what_serves_in_its_place():
    one = judge(
        seen("d9", NEW, "FAILED"),
        seen("d2", OLD, "SUCCESS"),
        before={"deployment": "d2", "commit": OLD},
    )

    assert (
        one.sentence
        == "The deployment of bbbbbbb came to nothing (failed); aaaaaaa serves, as before, and can"
        " stay."
    )


def test_until_when_is_unknown_where_the_retention_or_the_moment_is():
    before = {"deployment": "d2", "commit": OLD}

    assert judge(LIVE, seen("d2"), before=before, keep=None).until is None
    assert judge(LIVE, seen("d2", status_updated_at=None), before=before).until is None


def test_deployments_are_looked_at_newest_first_whatever_the_order_of_the_answer():
    old, new = seen("d1", created_at=NOW - timedelta(hours=1)), seen("d2")

    assert [one.id for one in newest_first([seen("d0", created_at=None), old, new])] == [
        "d2",
        "d1",
        "d0",
    ]


@pytest.mark.parametrize(
    ("pre_deploy", "start", "known"),
    [
        ("alembic upgrade head", "gunicorn app", AtStart.PRE_DEPLOY),
        ("./prepare.sh", "cd backend && alembic upgrade head && uvicorn app", AtStart.START),
        (None, "flask db upgrade && flask run", AtStart.START),
        (None, "sh -c 'uvicorn app:app --port $PORT'", AtStart.NO),
        (None, None, AtStart.UNKNOWN),
        (None, "./start.sh", AtStart.UNKNOWN),
        ("make release", "gunicorn app", AtStart.UNKNOWN),
        (None, "npm run start", AtStart.UNKNOWN),
    ],
)
def test_commands_that_run_alembic_are_seen_and_scripts_are_not_vouched_for(
    pre_deploy, start, known
):
    assert at_start(pre_deploy, start) == known


@pytest.mark.django_db
def test_what_people_rolled_back_is_no_push_that_railway_missed():
    project = make_project()
    instance = ServiceInstance.objects.filter(environment__kind="production").first()
    head = project.branches.get(name=instance.branch).head
    deploy(instance, OLD, now=timezone.now())
    project.branches.update(head_at=timezone.now() - timedelta(hours=1), seen_at=timezone.now())
    ServiceInstance.objects.update(seen_at=timezone.now())

    def kinds() -> set[str]:
        detect.compare(project, now=timezone.now())
        return set(
            project.findings.filter(closed_at=None, subject=str(instance)).values_list(
                "kind", flat=True
            )
        )

    assert kinds() == {"behind"}
    ServiceInstance.objects.filter(pk=instance.pk).update(rolled_back_from=head)
    assert kinds() == {"rolled_back"}
    ServiceInstance.objects.filter(pk=instance.pk).update(rolled_back_from=ODD)
    assert kinds() == {"behind"}
    assert Deployment.objects.filter(instance=instance, is_latest=True).get().commit == OLD


@pytest.mark.django_db
def test_variables_that_changed_since_are_named_and_what_cannot_be_known_is_said():
    project = make_project()
    production = Environment.objects.get(kind="production")
    backend = Service.objects.get(name="backend")
    Variable.objects.filter(environment=production).delete()

    Environment.objects.update(variables_since=NOW - timedelta(hours=9))

    def read(at: datetime, **values: str) -> None:
        place = variables_sync.Place(production, backend)
        was = variables_sync._marks(Variable.objects.filter(environment=production))
        rows = [
            variables_sync._row(place, name, variables_sync.Secret(value))
            for name, value in values.items()
        ]
        fresh = variables_sync._marks(rows)[backend.pk]
        edits = variables_sync._compare(was.get(backend.pk, {}), fresh)
        variables_sync._note(project, place, edits, at)
        Variable.objects.filter(environment=production).delete()
        Variable.objects.bulk_create(rows)

    read(NOW - timedelta(hours=9), A="1", B="1", D="1")
    VariableChange.objects.all().delete()
    read(NOW - timedelta(hours=5), A="2", B="1", D="1")
    read(NOW, A="2", B="secret-word", C="${{frontend.URL}}")
    production.refresh_from_db()

    back = comparison.going_back(production, backend, NOW - timedelta(hours=3))
    earlier = comparison.going_back(production, backend, NOW - timedelta(hours=20))

    assert back.changed == (("B", "changed"), ("C", "added"), ("D", "removed"))
    assert back.unknown == ("References, whose target may have changed: C.",)
    assert dict(earlier.changed)["A"] == "changed" and "watched only since" in earlier.unknown[0]
    assert comparison.going_back(production, backend, None).unknown
    assert "secret-word" not in str(list(VariableChange.objects.values()))
