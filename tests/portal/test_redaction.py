"""No credential that was pasted or fetched stands in what people and logs are told."""

import json
import logging
import sys

import pytest
from django.db import transaction
from django.utils import timezone

from portal import audit, redaction
from portal.credentials import stored
from portal.invisible_characters import LogFormatter
from portal.logs.errors import _cleaned
from portal.logs.json_lines import JsonFormatter
from portal.models.audit import AuditEvent
from portal.models.credentials import ServiceCredential
from portal.outbound.http import ApiError
from portal.outbound.parsing import quoted
from portal.redaction import HIDDEN, knowing, without_secrets
from portal.secrets import hold_stored

TOKEN = "5d3f2a10-77aa-4c1e-9b7e-0badc0ffee42"  # Railway's look like any id


@pytest.fixture
def pasted(db) -> ServiceCredential:
    """A token that was stored by another process, of which this one knows nothing yet."""
    row = ServiceCredential.objects.create(
        service="railway", secret=TOKEN, changed_at=timezone.now()
    )
    redaction.let_go()
    return row


def event(**said) -> str:
    with transaction.atomic():
        position = audit.record("test.said", actor=None, **said)
    return str(vars(AuditEvent.objects.get(position=position)))


def record(message: str, *, raising: bool = False) -> logging.LogRecord:
    info = None
    if raising:
        try:
            raise ValueError(message)
        except ValueError:
            info = sys.exc_info()
    return logging.LogRecord("x", logging.ERROR, __file__, 1, message, (), info)


def test_a_token_that_was_read_from_the_database_is_in_no_event(pasted):
    assert stored.railway() == (TOKEN, "bearer")

    told = event(
        sentence=f"Railway said: {TOKEN}!",
        data={"answer": [f"x{TOKEN}", {"deep": f"Bearer {TOKEN}"}], "count": 1},
    )

    assert TOKEN not in told and f"Railway said: {HIDDEN}!" in told
    assert f"Bearer {HIDDEN}" in told or "Bearer \\\\u2022" in told


def test_one_that_was_just_stored_or_was_there_at_the_start_is_known_too(pasted):
    assert TOKEN in without_secrets(TOKEN), "Otherwise this proves nothing."
    hold_stored()
    assert without_secrets(f"a {TOKEN} b") == f"a {HIDDEN} b"

    redaction.let_go()
    pasted.secret = TOKEN
    pasted.save()
    assert TOKEN not in without_secrets(TOKEN)


@pytest.mark.parametrize("formatter", [LogFormatter("{message}", style="{"), JsonFormatter()])
def test_it_is_in_no_line_of_a_log_and_in_no_traceback(pasted, formatter):
    hold_stored()

    assert TOKEN not in formatter.format(record(f"sent {TOKEN}", raising=True))


def test_it_is_in_no_error_and_in_nothing_that_is_reported(pasted):
    hold_stored()
    error = ApiError("Railway", "refused", f"No: {TOKEN}", detail=f"key={TOKEN}")

    assert TOKEN not in f"{error} {error.sentence} {error.detail}"
    assert TOKEN not in json.dumps(_cleaned({"message": f"with {TOKEN}"}, {}))


@pytest.mark.parametrize("before", range(0, 310, 7))
def test_no_beginning_of_it_stays_where_a_text_is_cut(pasted, before):
    hold_stored()

    assert TOKEN[:6] not in quoted("." * before + TOKEN + "." * 300, 200)


def test_what_is_only_tried_is_hidden_while_it_is():
    with knowing(TOKEN):
        assert without_secrets(TOKEN) == HIDDEN
    assert without_secrets(TOKEN) == TOKEN


@pytest.mark.parametrize(
    "token",
    [
        "rpt_" + "aB3-_" * 8,
        "ghp_" + "aB3d" * 9,
        "ghs_" + "aB3d" * 9,
        "github_pat_" + "aB3d_" * 12,
        "ghs_12345_eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxMjM0NSJ9.c2lnbmF0dXJlLW9m",
    ],
)
def test_access_tokens_are_known_by_their_look_whoever_they_belong_to(token):
    assert without_secrets(f"Authorization: Bearer {token}, once") == (
        f"Authorization: Bearer {HIDDEN}, once"
    )


@pytest.mark.parametrize("word", ["approved", "productionbranch", "main", "2026.11.29"])
def test_a_secret_that_is_a_word_or_short_hides_nothing_that_people_must_read(word):
    redaction.hold(word)

    with knowing(word):
        assert without_secrets(f"dave {word} it") == f"dave {word} it"


def test_a_key_of_several_lines_is_known_as_json_and_addresses_spell_it(settings):
    key = "-----BEGIN KEY-----\nabc+/=\n-----END KEY-----\n"
    redaction.hold(key)

    assert "abc" not in without_secrets(json.dumps({"pem": key}))
    assert "abc" not in without_secrets(f"pem:\n{key}")


def test_an_invitation_and_railways_webhook_address_are_in_no_log():
    line = "GET /invited/MTI/ci2x-0123456789abcdef/ 302 and POST /webhooks/railway/hush?x 200"

    assert without_secrets(line) == (
        f"GET /invited/MTI/{HIDDEN}/ 302 and POST /webhooks/railway/{HIDDEN}?x 200"
    )


def test_only_so_many_are_held(monkeypatch):
    monkeypatch.setattr(redaction, "MOST_HELD", 3)
    for number in range(5):
        redaction.hold(f"credential-{number:04}")

    assert list(redaction._held) == [f"credential-{number:04}" for number in (2, 3, 4)]
