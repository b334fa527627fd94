"""A second factor and a recent sign-in before what is dangerous: demanded by the action, asked
for by a page.
"""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_otp.oath import TOTP

from portal.accounts import second_factor
from portal.models.accounts import Authenticator, RecoveryCode
from portal.models.audit import AuditEvent
from portal.ui.actions import NotProven, Refused
from releases.models.approvals import Approval
from releases.models.promotion import Promotion
from releases.promotion import actions
from tests.factory import PASSWORD, make_people, make_project, make_release
from tests.reading import squeezed

pytestmark = pytest.mark.django_db


@pytest.fixture
def people():
    return make_people()


@pytest.fixture
def release(people):
    """A release that is ready, of a project that demands both."""
    project = make_project()
    release = make_release(project, by=people["alice"], ready=True)
    type(project).objects.filter(pk=project.pk).update(second_factor=True, sign_in_minutes=30)
    release.refresh_from_db()
    return type(release).objects.select_related("project").get(pk=release.pk)


def signed_in(user, **options):
    client = Client(**options)
    client.post("/admin/login/", {"username": user.username, "password": PASSWORD})
    return client


def code_of(user, ahead=0):
    """The code that the app would show `ahead` steps of 30 s from now."""
    found = Authenticator.objects.get(user=user)
    totp = TOTP(found.key)
    totp.time = timezone.now().timestamp() + 30 * ahead
    return f"{totp.token():06}"


def enrol(user):
    second_factor.begin(user)
    return second_factor.confirm(user, code_of(user))


def events(*names):
    return [
        object_.action
        for object_ in AuditEvent.objects.filter(action__in=names).order_by("position")
    ]


def wind_back(client, **minutes):
    """Lets the session's proofs be older."""
    session = client.session
    for name, count in minutes.items():
        session[name] -= count * 60
    session.save()


def test_a_command_or_a_job_does_not_do_what_needs_a_person(people, release):
    for actor in (people["alice"], None):
        with pytest.raises(NotProven, match="signed in to the portal"):
            actions.promote(release, actor=actor, candidate=release.candidate)

    assert not Promotion.objects.exists()
    assert events("release.promoted") == ["release.promoted"] * 2  # refused, and told of


def test_a_project_that_demands_nothing_asks_nothing(people):
    release = make_release(make_project(), by=people["alice"], ready=True)

    actions.promote(release, actor=people["alice"], candidate=release.candidate)

    assert Promotion.objects.count() == 1


def test_a_person_is_led_to_set_it_up_and_nothing_typed_is_lost(people, release):
    bob, address = (
        signed_in(people["bob"]),
        reverse("releases:release-do", args=[release.pk, "approve"]),
    )
    typed = {"candidate": release.candidate, "comment": "Looked at all\nof it — ✓"}

    asked = bob.post(address, typed, follow=True)
    assert "You have no second factor yet" in asked.text and not Approval.objects.exists()
    page = bob.post(reverse("portal:second-factor"), {"verb": "begin"}).text
    assert "<svg" in page and Authenticator.objects.get().user == people["bob"]
    shown = bob.post(
        reverse("portal:second-factor"), {"verb": "confirm", "code": code_of(people["bob"])}
    ).text
    resumed = bob.get(reverse("portal:sign-in-again"), follow=True).text

    assert len(re.findall(r"\b[a-z2-7]{4}(?:-[a-z2-7]{4}){3}\b", shown)) == 10
    assert "Looked at all\nof it — ✓" in resumed and f'action="{address}"' in resumed
    bob.post(address, typed)
    assert Approval.objects.get().comment == "Looked at all\nof it — ✓"
    assert events("second_factor.enrolled") == ["second_factor.enrolled"]


def test_a_sign_in_that_is_too_long_ago_is_asked_for_again(people, release):
    enrol(people["alice"])
    alice, address = (
        signed_in(people["alice"]),
        reverse("releases:release-do", args=[release.pk, "promote"]),
    )
    asked = alice.post(address, {"candidate": release.candidate}, follow=True).text
    assert (
        'name="code"' in asked and 'name="password"' not in asked
    )  # the password was given just now
    alice.post(reverse("portal:sign-in-again"), {"code": code_of(people["alice"], 1)})
    wind_back(alice, proved_at=31, second_factor_at=31)

    asked = alice.post(address, {"candidate": release.candidate}, follow=True).text

    assert 'name="code"' in asked and 'name="password"' in asked and not Promotion.objects.exists()
    wrong = alice.post(
        reverse("portal:sign-in-again"), {"password": "wrong", "code": "000000"}
    ).text
    assert "The password is wrong." in wrong and not Promotion.objects.exists()


def test_it_is_asked_for_by_each_dangerous_action(people, release):
    enrol(people["bob"])
    bob = signed_in(people["bob"])
    posts = {
        "approve": {},
        "accept-risk": {"revision": "x", "sha256": "y", "reason": "z"},
        "approve-rollback": {"content": "c"},
        "approve-downgrade": {"content": "c"},
    }
    alice_posts = {
        "promote": {},
        "skip-step": {"reason": "r"},
        "request-rollback": {"reason": "r"},
        "request-downgrade": {"typed": "t", "reason": "r"},
        "skip-rollback": {"reason": "r"},
    }
    alice = signed_in(people["alice"])

    for client, forms in ((bob, posts), (alice, alice_posts)):
        for verb, fields in forms.items():
            answer = client.post(reverse("releases:release-do", args=[release.pk, verb]), fields)

            assert answer["Location"] == reverse("portal:sign-in-again"), verb


def test_a_code_counts_once(people):
    enrol(people["alice"])
    code = code_of(people["alice"], 1)

    second_factor.prove(people["alice"], code)

    with pytest.raises(Refused, match="wrong or already used"):
        second_factor.prove(people["alice"], code)


def test_a_recovery_code_counts_once_and_is_held_as_a_digest(people):
    codes = enrol(people["alice"])

    second_factor.prove(people["alice"], codes[0].upper())

    assert not any(
        codes[0].replace("-", "") in str(row) for row in RecoveryCode.objects.values_list("digest")
    )
    with pytest.raises(Refused):
        second_factor.prove(people["alice"], codes[0])
    assert events("second_factor.recovered", "second_factor.failed") == [
        "second_factor.recovered",
        "second_factor.failed",
    ]


def test_guessing_codes_is_slowed_and_told_of(people):
    enrol(people["alice"])
    for _ in range(3):
        with pytest.raises(Refused):
            second_factor.prove(people["alice"], "000000")

    with pytest.raises(Refused, match=r"Try again in \d s"):
        second_factor.prove(people["alice"], code_of(people["alice"], 1))

    assert events("second_factor.failed") == [
        "second_factor.failed"
    ]  # the others were not looked at


def test_after_the_wait_the_right_code_counts(people):
    enrol(people["alice"])
    with pytest.raises(Refused):
        second_factor.prove(people["alice"], "000000")
    Authenticator.objects.update(throttling_failure_timestamp=timezone.now() - timedelta(seconds=5))

    second_factor.prove(people["alice"], code_of(people["alice"], 1))

    assert Authenticator.objects.get().throttling_failure_count == 0


def test_the_secret_is_encrypted_and_in_no_event_and_shown_no_more_once_it_counts(people):
    second_factor.begin(people["alice"])
    secret = Authenticator.objects.get().key
    second_factor.confirm(people["alice"], code_of(people["alice"]))
    alice = signed_in(people["alice"])
    alice.post(reverse("portal:second-factor"), {"proof": "1", "code": code_of(people["alice"], 1)})

    page = squeezed(alice.get(reverse("portal:second-factor")))

    typed = second_factor.encoded(secret)
    raw = Authenticator.objects.extra(select={"raw": "secret"}).values_list("raw", flat=True)[0]
    assert typed not in raw and typed not in page and "recovery codes left" in page
    assert not AuditEvent.objects.filter(data_json__contains=typed).exists()


def test_a_stolen_session_cannot_set_up_or_remove_a_second_factor(people):
    alice = signed_in(people["alice"])
    wind_back(alice, proved_at=11)
    alice.post(reverse("portal:second-factor"), {"verb": "begin"})
    assert not Authenticator.objects.exists()
    enrol(people["alice"])

    for verb in ("remove", "codes"):
        assert 'name="code"' in alice.post(reverse("portal:second-factor"), {"verb": verb}).text

    assert Authenticator.objects.get().confirmed and RecoveryCode.objects.count() == 10


def test_its_owner_removes_it_after_proving_it(people):
    enrol(people["alice"])
    alice = signed_in(people["alice"])
    alice.post(reverse("portal:second-factor"), {"proof": "1", "code": code_of(people["alice"], 1)})

    alice.post(reverse("portal:second-factor"), {"verb": "remove"})

    assert not Authenticator.objects.exists() and events("second_factor.removed") == [
        "second_factor.removed"
    ]


def test_for_a_lost_phone_it_is_removed_at_the_portals_machine_for_a_reason(people):
    enrol(people["alice"])

    with pytest.raises(CommandError):
        call_command("remove_second_factor", "nobody", reason="lost phone")
    call_command("remove_second_factor", "alice", reason="lost phone")

    assert not Authenticator.objects.exists()
    assert "lost phone" in AuditEvent.objects.get(action="second_factor.removed").sentence


def test_what_is_held_is_not_shown_to_somebody_else(people, release):
    bob = signed_in(people["bob"])
    bob.post(
        reverse("releases:release-do", args=[release.pk, "approve"]), {"comment": "bob's own words"}
    )
    session = bob.session
    session["_auth_user_id"] = str(people["alice"].pk)
    session["_auth_user_hash"] = people["alice"].get_session_auth_hash()
    session.save()

    assert "bob&#x27;s own words" not in bob.get(reverse("portal:sign-in-resume"), follow=True).text


def test_a_new_project_demands_both_from_the_start(people):
    root = User.objects.create_superuser("root", password=PASSWORD)
    page = signed_in(root).get("/admin/environments/project/add/").text

    assert re.search(r'name="second_factor"[^>]* checked', page)
    assert re.search(r'name="sign_in_minutes" value="60"', page)
