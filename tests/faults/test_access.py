"""The quick attacks of the table; the others are tests of their own in tests/access."""

import pytest

from tests.faults import access


@pytest.mark.django_db
@pytest.mark.parametrize(
    "attack",
    [
        access.acting_without_proof,
        access.acting_without_saying_what_was_seen,
        access.smoke_tests_of_others,
        access.webhook_secrets_in_logs,
        lambda: access.guessing_the_second_factor(30),
    ],
)
def test_no_attack_succeeds(attack):
    tried, succeeded = attack()

    assert tried and not succeeded


@pytest.mark.django_db
def test_a_secret_in_a_log_would_be_noticed(monkeypatch):
    monkeypatch.setattr("portal.invisible_characters.without_secrets", lambda text: text)
    monkeypatch.setattr("portal.webhooks.receiving.HIDDEN", "s3cret-of-railway")

    assert access.webhook_secrets_in_logs()[1]
