"""The attacks on buttons and ways in; the guesses fewer, and each action by one kind of account."""

import pytest

from portal.models.audit import AuditEvent
from releases.setup import actions as setup
from tests.factory import make_people
from tests.faults import doors

LONG = (
    doors.actions_by_an_auditor,
    doors.actions_by_a_deactivated_superuser,
    doors.guessing_the_setup_code,
)


def few_guesses_of_the_setup_code():
    return doors.guessing_the_setup_code(8)


@pytest.fixture(autouse=True)
def secrets(settings):
    settings.RAILWAY_WEBHOOK_SECRET = settings.GITHUB_WEBHOOK_SECRET = "s"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "attack",
    [*(one for one in doors.ATTACKS if one not in LONG), few_guesses_of_the_setup_code],
    ids=lambda one: one.__name__,
)
def test_no_attack_succeeds(attack):
    tried, succeeded = attack()

    assert tried and not succeeded


@pytest.mark.django_db
def test_an_action_that_begins_with_no_row_is_refused_with_an_event():
    with pytest.raises(doors.NotPermitted):
        setup.propose("acme/other", actor=make_people()["bob"], railway="p")

    assert AuditEvent.objects.get(outcome="refused").action == "setup.read_requested"
