"""Hostile text in every column, and no raw control of it in any page or download."""

import json

import pytest
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal import audit
from tests.portal.accounts.addresses import every, furnish
from tests.portal.accounts.hostile_text import raw, spoil

SIGNS = [
    "\x01",
    "\x07",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "\xad",
    "\u061c",
    "\u115f",
    "\u200b",
    "\u200e",
    "\u202e",
    "\u2028",
    "\u2029",
    "\u2060",
    "\u2066",
    "\u2800",
    "\u3164",
    "\ufeff",
    "\ufff9",
    "\U000e0041",
    "\U000e01ef",
    "\ufe01",
    "\u180e",
]
pytestmark = pytest.mark.django_db


def pages():
    """Addresses that answer with a page; not those that only lead on."""
    left_out = ("sign-", "logout", "webhooks")
    return [
        address
        for name, pattern, address in every()
        if not name.startswith(left_out) and "axes" not in pattern and "django_q" not in pattern
    ]


def looked_through(client):
    """Page: what can be read of it raw; and how many pages were read."""
    found, read = {}, 0
    for address in pages():
        answer = client.get(address)
        if answer.status_code == 200:
            read += 1
            if left := raw(content_of(answer)):
                found[address] = left
    return found, read


def content_of(answer):
    """What a person reads of it, downloads too; of JSON also what its escapes spell."""
    content = answer.getvalue().decode()
    if "json" not in answer["Content-Type"]:
        return content
    return content + "".join(
        text for line in content.splitlines() if line.strip() for text in texts_of(json.loads(line))
    )


def texts_of(value):
    """Every text in what JSON says."""
    if isinstance(value, dict):
        return [*value, *(text for one in value.values() for text in texts_of(one))]
    if isinstance(value, list):
        return [text for one in value for text in texts_of(one)]
    return [value] if isinstance(value, str) else []


@pytest.mark.slow
def test_every_column_and_every_sign_and_no_page_shows_one_raw():
    people = furnish()
    client = Client()
    client.force_login(people["dave"], backend="django.contrib.auth.backends.ModelBackend")
    columns = spoil("".join(SIGNS))
    audit.record("x.done", actor=None, sentence="".join(SIGNS), data={"said": "".join(SIGNS)})

    found, read = looked_through(client)

    assert found == {}
    assert columns > 60 and read > 60
    page = client.get("/").text + client.get("/audit/").text + client.get("/pulls/").text
    assert "⟨U+202E⟩" in page and "⟨U+200B⟩" in page and "⟨U+001B⟩[31m" in page
    for download in ("/audit/export.csv", "/audit/export.jsonl"):
        text = client.get(download).getvalue().decode()
        assert "⟨U+202E⟩" in text and "⟨U+001B⟩[31m" in text, download


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.sampled_from([*SIGNS, "a", "👩‍💻", "é", "<b>", "\n", "\r\n"]), min_size=1, max_size=12
    )
)
@pytest.mark.slow
def test_whatever_is_typed_or_read_no_page_shows_a_control_raw(signs):
    with transaction.atomic():
        people = furnish()
        client = Client()
        client.force_login(people["dave"], backend="django.contrib.auth.backends.ModelBackend")
        spoil("".join(signs))
        for address in (
            "/",
            "/releases/",
            "/pulls/",
            "/environments/",
            "/migrations/",
            "/admin/environments/project/",
        ):
            assert raw(client.get(address).text) == set(), address
        transaction.set_rollback(True)
