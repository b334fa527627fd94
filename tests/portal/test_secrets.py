import copy
import json
import pickle

import pytest
from django.contrib import admin
from django.core import serializers
from django.core.management import CommandError, call_command
from django.db import connection
from django.forms import modelform_factory
from django.template import Context, Template
from hypothesis import given
from hypothesis import strategies as st

from environments.models import Database, Environment, EnvironmentDatabase, Project
from portal import redaction, secrets
from portal.redaction import HIDDEN, redact
from portal.secrets import HiddenText, Unreadable, describe_token

URL = "postgresql://app:p%40ss-word@db.internal/app"


@pytest.fixture
def environment(db):
    project = Project.objects.create(
        name="inspector", slug="inspector", repository="acme/inspector"
    )
    staging = Environment.objects.create(project=project, name="staging", railway_id="e1")
    database = Database.objects.create(project=project, alembic="alembic.ini")
    made = EnvironmentDatabase.objects.create(environment=staging, database=database, url=URL)
    return EnvironmentDatabase.objects.get(pk=made.pk)


def stored() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT url FROM environments_environmentdatabase")
        return cursor.fetchone()[0]


# At rest


def test_a_secret_is_encrypted_in_the_database_and_usable_in_python(environment):
    assert environment.url == URL
    assert "app" not in stored() and stored().startswith("gAAAA")


def test_the_same_secret_is_stored_differently_each_time(environment):
    before = stored()

    environment.save()

    assert stored() != before


def test_an_empty_secret_stays_empty(environment):
    environment.url = ""
    environment.save()

    assert stored() == ""
    assert EnvironmentDatabase.objects.get().url == ""


def test_an_older_key_is_still_read_and_rotation_makes_it_dispensable(environment, settings):
    old = settings.FIELD_ENCRYPTION_KEYS
    settings.FIELD_ENCRYPTION_KEYS = ["a new key", *old]
    assert EnvironmentDatabase.objects.get().url == URL

    assert secrets.rotate() == 1

    settings.FIELD_ENCRYPTION_KEYS = ["a new key"]
    assert EnvironmentDatabase.objects.get().url == URL
    settings.FIELD_ENCRYPTION_KEYS = old
    with pytest.raises(Unreadable):
        EnvironmentDatabase.objects.get()


def test_a_lost_key_is_named_and_never_an_empty_secret(environment, settings):
    settings.FIELD_ENCRYPTION_KEYS = ["another key"]

    with pytest.raises(Unreadable, match="url was encrypted with another key"):
        EnvironmentDatabase.objects.get()
    with pytest.raises(CommandError, match="FIELD_ENCRYPTION_KEYS"):
        call_command("rotate_encryption_keys")


def test_the_command_says_how_many_secrets_it_encrypted(environment, capsys):
    call_command("rotate_encryption_keys")

    assert capsys.readouterr().out == "1 secret encrypted with the newest key.\n"


# Shown nowhere


def test_a_hidden_text_shows_in_no_way_of_printing_it():
    hidden = HiddenText(URL)

    shown = [repr(hidden), str(hidden), f"{hidden}", f"{hidden!r}", f"{hidden:>5}", f"{[hidden]}"]
    shown.append(
        Template("{{ secret }}{{ secret|default:'x' }}").render(Context({"secret": hidden}))
    )

    assert not any("ss-word" in one for one in shown)
    assert set(shown[:3]) == {HIDDEN}


def test_a_hidden_text_is_used_like_the_text_it_is():
    hidden = HiddenText(URL)

    assert hidden == URL and hidden.startswith("postgresql://") and hidden.encode() == URL.encode()
    assert json.loads(json.dumps(hidden)) == URL
    assert type(hidden.reveal()) is str and repr(hidden.reveal()) == repr(URL)
    assert repr(pickle.loads(pickle.dumps(hidden))) == repr(copy.deepcopy(hidden)) == HIDDEN  # noqa: S301


def test_a_secret_is_not_exported(environment):
    assert "ss-word" not in serializers.serialize("json", [environment])


# Forms


def form(place, **data):
    made = modelform_factory(EnvironmentDatabase, fields=["environment", "url"])
    return made({"environment": place.environment_id} | data, instance=place)


def test_a_form_never_shows_the_stored_secret(environment):
    page = str(modelform_factory(EnvironmentDatabase, fields=["url"])(instance=environment))

    assert "ss-word" not in page and HIDDEN not in page
    assert 'type="password"' in page and "set; leave empty to keep it" in page


def test_the_admin_never_shows_the_stored_secret(environment, rf, admin_user):
    request = rf.get("/")
    request.user = admin_user
    found = admin.ModelAdmin(EnvironmentDatabase, admin.site).get_form(
        request, environment, fields=["url"]
    )

    page = str(found(instance=environment))

    assert "ss-word" not in page and 'type="password"' in page


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, URL),
        ({"url": ""}, URL),
        ({"url": "postgresql://new"}, "postgresql://new"),
        ({"url-clear": "on"}, ""),
        ({"url": "postgresql://new", "url-clear": "on"}, "postgresql://new"),
    ],
    ids=["left out", "left empty", "given", "cleared", "given and cleared"],
)
def test_an_empty_field_keeps_the_secret_and_only_the_box_removes_it(environment, data, expected):
    filled = form(environment, **data)

    assert filled.is_valid(), filled.errors
    filled.save()

    assert EnvironmentDatabase.objects.get().url == expected
    assert ("url" in filled.changed_data) == (expected != URL)


def test_a_secret_just_entered_is_hidden_too(environment):
    filled = form(environment, url="postgresql://new")
    filled.is_valid()

    assert repr(filled.instance.url) == HIDDEN


def test_a_form_with_a_fault_elsewhere_does_not_echo_what_was_entered(environment):
    page = str(form(environment, environment="", url="postgresql://new-secret"))

    assert "new-secret" not in page


# Redacting


@pytest.mark.parametrize(
    "message",
    [
        f"cannot connect to {URL}",
        "password p@ss-word is wrong",
        "password p%40ss-word is wrong",
        json.dumps({"url": URL}),
        f"?u={redaction.quote(URL, safe='')}",
    ],
)
def test_a_secret_address_is_hidden_in_every_spelling_with_its_password(message):
    clean = redact(message, [URL])

    assert "ss-word" not in clean and HIDDEN in clean


@given(
    secret=st.text(min_size=1).filter(str.strip),
    before=st.text(max_size=5),
    after=st.text(max_size=5),
)
def test_no_secret_survives_redaction(secret, before, after):
    clean = redact(before + secret + after, [secret])

    assert secret not in clean.replace(HIDDEN, "") or secret in HIDDEN


def test_redacting_by_nothing_changes_nothing():
    assert redact("as it is", ["", "  "]) == "as it is"
    assert redact("as it is", []) == "as it is"


def test_of_two_secrets_the_longer_goes_first():
    assert redact("abcdef", ["abc", "abcdef"]) == HIDDEN


# Describing


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        ("ghp_abc\n", "ends with a line break"),
        ("ghp_abc\r\n", "ends with a carriage return"),
        ("ghp_abc ", "ends with a space"),
        (" ghp_abc", "begins with a space or line break"),
        ("Bearer ghp_abc", "begins with the name of a header"),
        ("ghp abc", "has a space or line break inside"),
        ('"ghp_abc"', "is wrapped in quotation marks"),
        ("“ghp_abc”", "is wrapped in quotation marks"),
        ("ghp_аbc", "has a letter that no token has"),
        ("ghp_a\x00bc", "has a control character inside"),
        ("", "is empty"),
        (" \n", "is empty"),
    ],
)
def test_what_is_wrong_with_a_token_is_named_without_the_token(raw, fault):
    message = describe_token(raw)

    assert fault in message
    assert message[0] == f"{len(raw)} characters"
    assert not any("ghp" in one or "abc" in one for one in message)


def test_a_sound_token_has_only_a_length():
    assert describe_token("ghp_" + "a" * 36) == ["40 characters"]
