"""No event, no change: accounts and configuration."""

import logging

import pytest

from tests.faults.denied_audit import DENIALS
from tests.faults.denied_configuration import denied, forgotten, tries


def test_every_admin_and_every_command_is_tried_or_was_looked_at():
    assert forgotten() == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("one", tries(), ids=lambda one: one.name)
def test_nothing_is_changed_without_its_event(one, caplog):
    caplog.set_level(logging.CRITICAL)

    message = denied(one, {"disk full": DENIALS["disk full"]})

    assert message == {"disk full": ""}
