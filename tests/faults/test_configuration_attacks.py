"""No attack on configuration or on who may sign succeeds; what takes longest is tried by `make
faults` alone.
"""

import logging

import pytest

from tests.faults import configuration

QUICK = [
    attack
    for attack in configuration.ATTACKS
    if attack.tries is not configuration.fields_by_one_person
]


@pytest.mark.django_db
@pytest.mark.parametrize("attack", QUICK, ids=lambda one: one.name)
def test_no_attack_succeeds(attack, caplog):
    caplog.set_level(logging.CRITICAL)

    count, succeeded = configuration.tried(attack)

    assert count and not succeeded
