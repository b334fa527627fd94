"""No event, no action."""

import pytest

from tests.faults.denied_audit import DENIALS, denied, every_action, problem, tries


def test_every_action_is_tried():
    assert {one.name for one in tries()} >= every_action() != set()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("denial", DENIALS)
def test_no_action_happens_without_its_event(denial):
    said = {one.name: denied(denial, one) for one in tries()}

    assert not any(said.values()), said


@pytest.mark.django_db(transaction=True)
def test_a_change_without_an_event_is_noticed(django_user_model):
    def change():
        return django_user_model.objects.create(username="someone")

    assert problem(change, DENIALS["disk full"]) == "it went through without its event"
