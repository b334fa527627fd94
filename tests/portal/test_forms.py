"""What people send is read by forms: each oddity ends in one clear sentence."""

import re
from pathlib import Path

import pytest
from django import forms
from django.test import RequestFactory

from portal.ui.forms import Mark, Text, sentence

ROOT = Path(__file__).parents[2]


class Ask(forms.Form):
    reason = Text(10, missing="Say why.")
    note = Text(5, label="Note", strip=False)
    seen = Mark()


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({}, "Say why."),
        ({"reason": " \n "}, "Say why."),
        (
            {"reason": "a\x00b"},
            "The text holds a NUL character: remove it and send the form again.",
        ),
        ({"reason": "x" * 11}, "The text has 11 characters; shorten it to 10, nothing was saved."),
        (
            {"reason": "r", "note": "123456"},
            "“Note” has 6 characters; shorten it to 5, nothing was saved.",
        ),
        (
            {"reason": "r", "seen": "f" * 201},
            "The text has 201 characters; shorten it to 200, nothing was saved.",
        ),
    ],
)
def test_a_form_that_does_not_hold_says_so_in_one_sentence(sent, message):
    assert sentence(Ask(RequestFactory().post("/", sent).POST)) == message


def test_a_form_that_holds_gives_what_was_typed():
    form = Ask({"reason": " because ", "note": " x ", "seen": ""})

    assert sentence(form) == ""
    assert form.cleaned_data == {"reason": "because", "note": " x ", "seen": ""}


def test_no_view_reads_a_post_by_hand():
    product = [
        path
        for app in ("portal", "environments", "releases")
        for path in (ROOT / app).rglob("*.py")
    ]
    by_hand = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in product
        for line in path.read_text().splitlines()
        if re.search(r"request\.POST(\.get|\[)", line)
    ]

    assert len(product) > 300
    assert not by_hand, "\n".join(by_hand)
