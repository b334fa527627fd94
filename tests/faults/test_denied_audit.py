"""No event, no action."""

import pytest

from tests.faults.denied_audit import DENIALS, denied, every_action, everything, problem, tries


def test_every_action_is_tried():
    assert {one.name for one in tries()} >= every_action() != set()


@pytest.mark.django_db(transaction=True)
def test_no_action_happens_without_its_event_however_it_is_denied():
    message = {one.name: denied(one) for one in tries()}

    assert {denial for what in message.values() for denial in what} == set(DENIALS)
    assert not {name: what for name, what in message.items() if any(what.values())}


@pytest.mark.django_db(transaction=True)
def test_a_change_without_an_event_is_noticed(django_user_model):
    def change():
        return django_user_model.objects.create(username="someone")

    assert (
        problem(change, DENIALS["disk full"], everything()) == "it went through without its event"
    )
