import copy
import json
import pickle

import pytest
from django import forms
from django.core.exceptions import FieldError
from django.db import connection, models
from hypothesis import given
from hypothesis import strategies as st

from portal import secrets
from portal.secrets import HIDDEN, EncryptedTextField, Secret, Undecryptable, describe_token, redact

TOKEN = "ghp_0123456789abcdefXYZ"


class Safe(models.Model):
    """A table for these tests only."""

    name = models.TextField(blank=True)
    token = EncryptedTextField()
    note = EncryptedTextField(blank=True, default="")

    class Meta:
        app_label = "portal"
        managed = False

    def __str__(self):
        return self.name


class SafeForm(forms.ModelForm):
    class Meta:
        model = Safe
        fields = ["name", "token", "note"]


@pytest.fixture
def table(db):
    with connection.schema_editor() as editor:
        editor.create_model(Safe)


@pytest.fixture
def stored(table):
    return Safe.objects.create(name="GitHub", token=TOKEN)


def raw_token():
    with connection.cursor() as cursor:
        cursor.execute("SELECT token FROM portal_safe")
        return cursor.fetchone()[0]


def test_what_lies_in_the_database_does_not_tell_the_secret(stored):
    assert TOKEN not in raw_token()
    assert Safe.objects.get().token.reveal() == TOKEN


@pytest.mark.parametrize("show", [str, repr, "{}".format, "{!r:>5}".format, lambda secret: f"{[secret]}"])
def test_a_secret_shows_dots(show):
    shown = show(Secret(TOKEN))

    assert HIDDEN in shown
    assert TOKEN not in shown


@pytest.mark.parametrize("leak", [json.dumps, pickle.dumps, "".join, lambda secret: "x" + secret])
def test_a_secret_cannot_slip_into_a_queue_or_a_text(leak):
    with pytest.raises(TypeError):
        leak(Secret(TOKEN))


def test_a_copy_of_a_row_hides_its_secret_too(stored):
    assert copy.deepcopy(stored).token == Secret(TOKEN)


def test_a_row_that_was_just_made_hides_its_secret_too(stored):
    assert TOKEN not in repr(vars(stored))


def test_an_encrypted_field_cannot_be_searched_by_content(table):
    with pytest.raises(FieldError):
        Safe.objects.filter(token__contains="ghp").exists()


def test_a_newer_key_reads_what_an_older_one_wrote(stored, settings):
    settings.FIELD_ENCRYPTION_KEYS = ["newer", *settings.FIELD_ENCRYPTION_KEYS]

    assert Safe.objects.get().token.reveal() == TOKEN


def test_after_rotation_the_newest_key_is_enough(stored, settings):
    settings.FIELD_ENCRYPTION_KEYS = ["newer", *settings.FIELD_ENCRYPTION_KEYS]

    rotated = secrets.rotate()

    settings.FIELD_ENCRYPTION_KEYS = ["newer"]
    assert rotated >= 1
    assert Safe.objects.get().token.reveal() == TOKEN


def test_without_its_key_a_secret_is_refused_in_a_sentence_and_the_row_still_loads(stored, settings):
    settings.FIELD_ENCRYPTION_KEYS = ["another"]
    safe = Safe.objects.get()

    with pytest.raises(Undecryptable, match="FIELD_ENCRYPTION_KEYS"):
        safe.token.reveal()


def test_a_form_never_holds_the_stored_secret(stored):
    page = str(SafeForm(instance=Safe.objects.get()))

    assert TOKEN not in page
    assert raw_token() not in page
    assert 'name="token-clear"' in page


def test_an_empty_input_leaves_the_secret_as_it_is(stored):
    SafeForm({"name": "Renamed", "token": "", "note": ""}, instance=Safe.objects.get()).save()

    assert (Safe.objects.get().name, Safe.objects.get().token.reveal()) == ("Renamed", TOKEN)


def test_a_typed_secret_replaces_the_stored_one_with_its_spaces(stored):
    SafeForm({"name": "", "token": " new ", "note": ""}, instance=Safe.objects.get()).save()

    assert Safe.objects.get().token.reveal() == " new "


def test_the_ticked_box_clears_the_secret(table):
    Safe.objects.create(token=TOKEN, note="private")

    SafeForm({"token": "", "note": "", "note-clear": "on"}, instance=Safe.objects.get()).save()

    assert not Safe.objects.get().note


def test_a_required_secret_must_be_typed_where_none_is_stored(table):
    form = SafeForm({"name": "x", "token": ""})

    assert "token" in form.errors


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {TOKEN}",
        json.dumps({"token": TOKEN}),
        f"{TOKEN}{TOKEN}",
    ],
)
def test_it_removes_a_secret_wherever_it_stands(text):
    assert TOKEN not in redact(text, [TOKEN])


@given(st.text(min_size=4).filter(lambda text: len(text.strip()) >= 4), st.text(), st.text())
def test_no_spelling_of_a_secret_survives(secret, before, after):
    text = before + json.dumps(secret) + secret + after

    shown = redact(text, [secret])

    assert secret not in shown or secret in HIDDEN * 3
    assert redact("nothing secret", []) == "nothing secret"


def test_a_password_is_found_in_its_url_form():
    assert "p%40ss" not in redact("postgresql://app:p%40ss%2Fword@db/app", ["p@ss/word"])


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ("", "empty"),
        ("  \n", "nothing but 3"),
        (f" {TOKEN}", "begins with whitespace (1 of its 24"),
        (f"{TOKEN}\n", "ends with a newline"),
        (f"{TOKEN}\r\n", "carriage return"),
        (f'"{TOKEN}"', "quotes"),
        (f"Bearer {TOKEN}", "Bearer"),
        (f"{TOKEN}é", "outside ASCII (1)"),
        (f"{TOKEN}\0", "control characters (1)"),
        (f"{TOKEN} {TOKEN}", "middle"),
    ],
)
def test_it_names_what_is_wrong_with_a_token_and_never_the_token(raw, named):
    sentences = " ".join(describe_token(raw))

    assert named in sentences
    assert TOKEN not in sentences


def test_a_clean_token_has_no_faults():
    assert describe_token(TOKEN) == []
