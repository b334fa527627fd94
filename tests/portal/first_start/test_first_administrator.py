"""The first administrator: made once, with a code that the server printed."""

import re
import threading
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from portal.first_start import actions, codes
from portal.models.audit import AuditEvent
from portal.models.first_start import SetupCode
from tests.reading import squeezed

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


def typed(printed_code, **changes):
    fields = {"code": printed_code, "username": "zoe", "password": PASSWORD, "again": PASSWORD}
    return fields | changes


def printed(output):
    return re.findall(r"\b[A-Z2-7]{4}(?:-[A-Z2-7]{4}){3}\b", output)


def test_the_server_prints_a_code_that_makes_a_signed_in_administrator_and_the_page_is_gone(capsys):
    codes.announce()
    (code,) = printed(capsys.readouterr().out)
    client = Client()
    assert "First administrator" in squeezed(client.get("/setup/"))

    answer = client.post("/setup/", typed(code.lower().replace("-", " ")))

    assert answer.status_code == 302
    person = User.objects.get()
    assert person.is_superuser and person.is_staff and person.check_password(PASSWORD)
    assert client.get("/").status_code == 200
    assert client.get("/setup/").status_code == client.post("/setup/", typed(code)).status_code
    assert client.get("/setup/").status_code == 404
    assert not SetupCode.objects.exists()
    event = AuditEvent.objects.get(action=actions.EVENT)
    assert "zoe became the first administrator" in event.sentence


def test_the_database_holds_no_code_that_could_be_typed():
    code = codes.make()
    row = SetupCode.objects.get()
    assert code.replace("-", "") not in str(row.__dict__)
    assert row.digest == codes.digest(code)


def test_without_anybody_the_sign_in_page_leads_to_the_setup(settings):
    assert Client().get("/admin/login/").headers["Location"] == "/setup/"
    settings.SANDBOX = True
    assert Client().get("/admin/login/").status_code == 200
    assert Client().get("/setup/").status_code == 404


def test_the_server_prints_nothing_once_somebody_has_an_account(capsys):
    User.objects.create(username="zoe")
    codes.announce()
    assert capsys.readouterr().out == ""


def test_a_wrong_an_expired_and_a_used_code_make_nobody():
    code = codes.make()
    SetupCode.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    for wrong in (code, "AAAA-AAAA-AAAA-AAAA"):
        assert "wrong or expired" in squeezed(Client().post("/setup/", typed(wrong)))
    assert not User.objects.exists()
    assert AuditEvent.objects.filter(action=actions.EVENT, outcome="refused").count() == 1


def test_five_wrong_codes_from_one_address_make_it_wait_and_nobody_else():
    code, now = codes.make(), timezone.now()
    for _ in range(5):
        with pytest.raises(actions.Refused, match="wrong or expired"):
            actions.make_administrator(
                code="no", username="zoe", password=PASSWORD, address="192.0.2.1", now=now
            )
    with pytest.raises(actions.Wait):
        actions.make_administrator(
            code=code, username="zoe", password=PASSWORD, address="192.0.2.1", now=now
        )
    actions.make_administrator(
        code=code, username="zoe", password=PASSWORD, address="192.0.2.2", now=now
    )
    assert User.objects.count() == 1
    assert AuditEvent.objects.filter(action=actions.EVENT, outcome="refused").count() == 2


def test_a_page_opened_after_the_code_expired_has_the_server_print_another_one(capsys):
    assert "has just printed a new one" in squeezed(Client().get("/setup/"))
    assert len(printed(capsys.readouterr().out)) == 1
    Client().get("/setup/")
    assert printed(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"again": "something else!"}, "The two passwords differ."),
        ({"password": "short", "again": "short"}, "too short"),
        ({"username": "a b"}, "valid username"),
        ({"username": "a\x00b"}, "holds a NUL character"),
        ({"code": ""}, "Enter the code"),
    ],
)
def test_what_does_not_hold_is_said_and_uses_no_code_up(changes, sentence):
    code = codes.make()
    assert sentence in squeezed(Client().post("/setup/", typed(code, **changes)))
    assert SetupCode.objects.exists() and not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_codes_at_the_same_moment_make_one_administrator():
    both, results = [codes.make(), codes.make()], []

    def make(number):
        try:
            actions.make_administrator(
                code=both[number],
                username=f"person{number}",
                password=PASSWORD,
                address=f"192.0.2.{number}",
            )
            results.append("made")
        except actions.Refused:
            results.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=make, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(results) == ["made", "refused"]
    assert User.objects.count() == 1
