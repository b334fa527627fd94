"""Who gets in, who is kept out, and for how long."""

import os
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from axes.models import AccessAttempt, AccessLog
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, Permission, User
from django.test import Client, RequestFactory, override_settings
from django.urls import reverse
from django.utils import timezone

from portal.accounts.client_address import client_address
from portal.models.audit import AuditEvent
from portal.server.private_files import keep_private, let_through
from tests.factory import PASSWORD, make_people, make_project, make_release
from tests.reading import squeezed

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.django_db


@pytest.fixture
def people(settings):
    """The usual people, with passwords that are quick to check: some tests try hundreds."""
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.MD5PasswordHasher",
        *settings.PASSWORD_HASHERS,
    ]
    people = make_people()
    User.objects.update(password=make_password(PASSWORD))
    for user in people.values():
        user.refresh_from_db()
    return people


def sign_in(name, password=PASSWORD, address="192.0.2.1", client=None):
    client = client or Client()
    return client.post(
        "/admin/login/", {"username": name, "password": password}, REMOTE_ADDR=address
    )


def signed_in(user):
    client = Client()
    assert sign_in(user.username, client=client).status_code == 302
    return client


def may_read(client):
    return client.get("/").status_code == 200


# Guessing


def test_guessing_from_elsewhere_does_not_shut_a_colleague_out(people):
    for _ in range(30):
        sign_in("alice", "wrong", address="203.0.113.9")

    assert (
        sign_in("alice", address="203.0.113.9").status_code == 429
    )  # the right password does not help there
    assert sign_in("alice", address="192.0.2.1").status_code == 302


@pytest.mark.slow
def test_guessing_one_name_from_many_addresses_is_slowed_and_nobody_is_locked(people):
    AccessLog.objects.create(username="alice", ip_address="192.0.2.1", attempt_time=timezone.now())
    answers = [sign_in("alice", "wrong", address=f"198.51.100.{n}").status_code for n in range(40)]

    assert answers[:20] == [200] * 20 and answers[20:] == [429] * 20
    assert sign_in("alice", address="192.0.2.1").status_code == 302  # from where she was before
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(seconds=11))
    assert (
        sign_in("alice", address="192.0.2.77").status_code == 302
    )  # and from elsewhere after some seconds


@pytest.mark.slow
def test_spraying_one_password_over_many_names_is_limited(people):
    answers = [
        sign_in(f"name-{n}", "Summer2026!!", address="203.0.113.9").status_code for n in range(60)
    ]

    assert answers.count(200) == 50 and answers[50:] == [429] * 10
    assert sign_in("bob", address="203.0.113.9").status_code == 429


@pytest.mark.slow
def test_an_office_stays_usable_while_somebody_in_it_sprays(people):
    AccessLog.objects.create(username="bob", ip_address="203.0.113.9", attempt_time=timezone.now())
    for n in range(55):
        sign_in(f"name-{n}", "wrong", address="203.0.113.9")

    assert sign_in("bob", address="203.0.113.9").status_code == 302


def test_names_that_exist_and_names_that_do_not_are_answered_alike(people):
    User.objects.create_user("gone", password=PASSWORD, is_staff=True, is_active=False)

    pages = {
        name: sign_in(name, "wrong").text.replace(name, "NAME")
        for name in ("alice", "nobody", "gone")
    }
    right = sign_in("gone", PASSWORD).text.replace("gone", "NAME")

    assert len({page.split("csrfmiddlewaretoken")[0] for page in (*pages.values(), right)}) == 1


def address_of(settings, remote, **headers):
    return client_address(RequestFactory().get("/", REMOTE_ADDR=remote, **headers))


@pytest.mark.parametrize(
    ("proxies", "header", "counts"),
    [
        (0, "6.6.6.6", "10.0.0.1"),  # no proxy of ours: whoever sends the header wrote it
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "6.6.6.6, 198.51.100.7", "198.51.100.7"),  # what the client wrote stands before
        (2, "6.6.6.6, 198.51.100.7, 10.0.0.9", "198.51.100.7"),
        (2, "6.6.6.6", "10.0.0.1"),  # fewer entries than proxies: past one of them
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        (1, "::ffff:198.51.100.7", "198.51.100.7"),
        (1, "nonsense", "0.0.0.0"),  # noqa: S104
    ],
)
def test_the_address_that_counts_cannot_be_written_by_the_client(settings, proxies, header, counts):
    settings.TRUSTED_PROXIES = proxies

    assert address_of(settings, "10.0.0.1", HTTP_X_FORWARDED_FOR=header) == counts


def test_a_forged_header_does_not_escape_the_limit(people, settings):
    settings.TRUSTED_PROXIES = 1
    for n in range(12):
        Client().post(
            "/admin/login/",
            {"username": "alice", "password": "wrong"},
            HTTP_X_FORWARDED_FOR=f"10.1.1.{n}, 203.0.113.9",
        )

    assert AccessAttempt.objects.get().ip_address == "203.0.113.9"
    assert AccessAttempt.objects.get().failures_since_start == 10


# Sessions


def wind_back(client, **minutes):
    session = client.session
    for name, count in minutes.items():
        session[name] -= count * 60
    session.save()


def test_a_session_ends_when_nobody_used_it_and_the_trail_says_so(people):
    alice = signed_in(people["alice"])
    wind_back(alice, active_at=121)

    assert not may_read(alice)
    assert AuditEvent.objects.get(action="person.session_ended").actor_name == "alice"


def test_the_polls_of_a_page_keep_no_session_alive_and_a_person_does(people):
    make_project()
    alice = signed_in(people["alice"])
    wind_back(alice, active_at=100)
    alice.get(reverse("releases:board-panels"), headers={"HX-Request": "true"})
    before = alice.session["active_at"]
    alice.get("/")

    assert alice.session["active_at"] - before > 90 * 60


def test_a_session_ends_after_a_working_day_however_busy(people):
    alice = signed_in(people["alice"])
    wind_back(alice, began_at=12 * 60 + 1)

    assert not may_read(alice)


def test_a_session_that_does_not_say_when_it_began_is_over(people):
    alice = signed_in(people["alice"])
    session = alice.session
    del session["began_at"]
    session.save()

    assert not may_read(alice)


@pytest.mark.parametrize(
    "change",
    [
        lambda user: user.groups.add(Group.objects.get(name="Approvers")),
        lambda user: Group.objects.get(name="Approvers").user_set.add(user),
        lambda user: user.groups.clear(),
        lambda user: (
            User.objects.filter(pk=user.pk).get().user_permissions.set(Permission.objects.all()[:1])
        ),
        lambda user: (setattr(user, "is_superuser", True), user.save()),
        lambda user: (user.set_password("another correct horse"), user.save()),
        lambda user: (setattr(user, "is_active", False), user.save()),
    ],
)
def test_a_changed_password_or_role_signs_the_account_out_everywhere_and_nobody_else(
    people, change
):
    sessions, bob = (
        [signed_in(people["alice"]), signed_in(people["alice"])],
        signed_in(people["bob"]),
    )

    change(people["alice"])

    assert [may_read(session) for session in sessions] == [False, False] and may_read(bob)


def test_who_changes_the_own_password_stays_signed_in_here_and_nowhere_else(people):
    here, there = signed_in(people["alice"]), signed_in(people["alice"])
    new = "another correct horse 7"

    here.post(
        "/admin/password_change/",
        {"old_password": PASSWORD, "new_password1": new, "new_password2": new},
    )

    assert may_read(here) and not may_read(there)


def test_what_was_typed_outlives_a_session_that_ended(people):
    release = make_release(make_project(), by=people["alice"])
    alice = signed_in(people["alice"])
    wind_back(alice, active_at=121)

    gone = alice.post(
        reverse("releases:release-do", args=[release.pk, "notes"]), {"notes": "an hour of typing"}
    )
    assert gone["Location"] == f"/admin/login/?next={reverse('portal:sign-in-resume')}"
    back = alice.post(
        gone["Location"], {"username": "alice", "password": PASSWORD}, follow=True
    ).text

    assert "an hour of typing" in back and "Continue: notes" in back


def test_what_was_typed_is_not_shown_to_the_next_person(people):
    release = make_release(make_project(), by=people["alice"])
    alice = signed_in(people["alice"])
    wind_back(alice, active_at=121)
    gone = alice.post(
        reverse("releases:release-do", args=[release.pk, "notes"]), {"notes": "an hour of typing"}
    )

    assert (
        "an hour"
        not in alice.post(
            gone["Location"], {"username": "bob", "password": PASSWORD}, follow=True
        ).text
    )


@pytest.mark.parametrize(
    "address", ["/sign-in/again/", "/account/second-factor/", "/previews/inspector/variable/"]
)
def test_a_secret_that_was_typed_is_kept_in_no_session(people, address):
    make_project()
    alice = signed_in(people["alice"])
    wind_back(alice, active_at=121)

    alice.post(address, {"password": "a secret", "code": "a secret", "value": "a secret"})

    assert "a secret" not in str(dict(alice.session))


# Reading needs a role


def test_the_right_password_without_staff_is_not_called_wrong(people):
    User.objects.create_user("erin", password=PASSWORD).groups.add(
        Group.objects.get(name="Auditors")
    )
    client = Client()

    page = client.post(
        "/admin/login/?next=/", {"username": "erin", "password": PASSWORD}, follow=True
    )

    assert page.status_code == 403
    assert "not marked as <em>staff</em>" in squeezed(page) and "Ask dave" in squeezed(page)


def test_without_a_role_there_is_nothing_to_see_but_whom_to_ask_and_the_way_out(people):
    User.objects.create_user("erin", password=PASSWORD, is_staff=True)
    client = Client()
    client.post("/admin/login/", {"username": "erin", "password": PASSWORD})

    for address in ("/", "/releases/", "/environments/", "/connections/", "/audit/", "/admin/"):
        page = client.get(address, follow=True)
        assert page.status_code == 403 and "Ask dave to change that" in squeezed(page), address
        assert "Connections" not in squeezed(page)
    assert client.post(reverse("portal:sign-out"))["Location"] == "/admin/login/"
    assert "_auth_user_id" not in client.session


def test_an_auditor_sees_what_is_configured_and_changes_nothing(people):
    project = make_project()
    carol = signed_in(people["carol"])
    pages = [
        "auth/user/",
        f"auth/user/{people['bob'].pk}/change/",
        "auth/group/",
        "environments/project/",
        f"environments/project/{project.pk}/change/",
        "environments/environment/",
        f"environments/environment/{project.environments.first().pk}/change/",
        "environments/variablerule/",
        "environments/deploykey/",
        "environments/service/",
        "environments/deployment/",
        "releases/checklisttemplate/",
        "releases/freeze/",
        "portal/webhookdelivery/",
        "portal/auditevent/",
    ]

    for page in pages:
        answer = carol.get(f"/admin/{page}")
        assert answer.status_code == 200, page
        assert 'name="_save"' not in answer.text and 'type="password"' not in answer.text, page
        assert carol.post(f"/admin/{page}", {"name": "x", "username": "x"}).status_code in (
            200,
            403,
        ), page
    assert AuditEvent.objects.filter(action__startswith="configuration.").count() == 0


# How it is served


@pytest.mark.parametrize(
    ("given", "redirects"),
    [({"PORTAL_URL": "https://releases.example.com", "BEHIND_PROXY": "1"}, True), ({}, False)],
)
@pytest.mark.slow
def test_the_settings_of_production_leave_nothing_to_warn_of(tmp_path, given, redirects):
    base = {
        "PATH": os.environ["PATH"],
        "PORTAL_ENV_FILE": os.devnull,
        "PORTAL_VAR_DIR": str(tmp_path),
    }
    message = (
        "from django.conf import settings as s; print(s.SECURE_SSL_REDIRECT, s.SECURE_HSTS_SECONDS"
        " > 0)"
    )

    seen = subprocess.run(
        [
            sys.executable,
            "-c",
            (
                "import portal.settings; import os; os.environ['DJANGO_SETTINGS_MODULE']="
                f"'portal.settings'; {message}"
            ),
        ],
        cwd=ROOT,
        env=base | given,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert seen.stdout.strip() == f"{redirects} {redirects}", seen.stderr
    if redirects:
        done = subprocess.run(
            [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
            cwd=ROOT,
            env=base | given,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr


@override_settings(SECURE_SSL_REDIRECT=True)
def test_plain_http_is_sent_on_to_https_but_for_the_platforms_health_check(client):
    assert client.get("/")["Location"].startswith("https://")
    assert client.get("/healthz").status_code == 200


def modes(directory):
    return {
        stat.S_IMODE(path.lstat().st_mode) & 0o077 for path in [directory, *directory.rglob("*")]
    }


def test_what_lies_in_var_is_nobody_elses_also_when_it_is_older(tmp_path):
    var = tmp_path / "var"
    (var / "git" / "deep").mkdir(parents=True, mode=0o755)
    (var / "git" / "deep" / "pack").write_text("x")
    program = var / "program"
    program.write_text("x")
    program.chmod(0o755)
    outside = tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o644)
    (var / "link").symlink_to(outside)
    var.chmod(0o755)
    umask = os.umask(0o022)
    try:
        keep_private(var)
        (var / "later").write_text("x")
    finally:
        os.umask(umask)

    assert modes(var) - {0o077} == {0}  # a link's own mode is always 0777
    assert stat.S_IMODE(program.stat().st_mode) == 0o700
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644


def test_a_server_of_another_user_is_let_through_and_no_further(tmp_path):
    var = tmp_path / "open" / "var"
    (var / "postgres").mkdir(parents=True)
    (tmp_path / "open").chmod(0o755)
    var.chmod(0o700)

    let_through(var / "postgres")

    assert stat.S_IMODE(var.stat().st_mode) == 0o711
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o755


# Failures in the trail


def failures():
    rows = AuditEvent.objects.filter(action="person.sign_in_failed").order_by("position")
    return list(rows.values_list("outcome", "subject_label", "sentence"))


def test_a_failed_and_a_locked_sign_in_are_events_and_no_more(people):
    for _ in range(14):
        sign_in("alice", "wrong", address="203.0.113.9")

    first, locked = failures()
    assert first == ("refused", "alice", "A sign-in as alice from 203.0.113.9 failed.")
    assert locked[2] == "10 sign-ins as alice from 203.0.113.9 failed; that name waits there."


def test_a_password_typed_as_a_name_is_not_kept_and_unseen_signs_are_written_out(people):
    sign_in("hunter2-is-my-password", "x")
    sign_in("\u202ezz", "x", address="192.0.2.7")

    [first, second] = [sentence for _, _, sentence in failures()]
    assert "“hu…”, 22 signs" in first and "hunter2" not in first
    assert "\u202e" not in second


def test_a_flood_of_names_is_told_once(people, monkeypatch):
    monkeypatch.setattr("portal.accounts.password_guessing.AN_HOUR", 3)
    for number in range(8):
        sign_in(f"nobody{number}", "x", address=f"198.51.100.{number}")
    sign_in("alice", "wrong", address="198.51.100.99")

    told = [sentence for _, _, sentence in failures()]
    assert len(told) == 5 and told[3].startswith("More than 3 sign-ins failed within an hour")
    assert told[4] == "A sign-in as alice from 198.51.100.99 failed.", (
        "accounts have a bound of their own"
    )
