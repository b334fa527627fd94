"""From an event of the trail to what a receiver on loopback takes in, and what no channel is
ever sent.
"""

import base64
import hashlib
import hmac
import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import transaction
from django.test import Client
from django.utils import timezone

from portal import audit
from portal.jobs import running
from portal.models.audit import AuditEvent
from portal.sandbox.server import Response, Server
from portal.ui.actions import NotPermitted, Refused
from releases.models import Channel, Notice, NotificationFeed
from releases.notifications import actions, deliver, transports
from releases.notifications.kinds.registry import KINDS
from tests.factory import make_people, make_project, make_release

pytestmark = pytest.mark.django_db


@pytest.fixture
def people():
    return make_people()


@pytest.fixture
def receiver(settings):
    """A receiver of webhooks on loopback, as the sandbox allows; `answers` are its next
    statuses.
    """
    settings.SANDBOX = True

    class Receiver:
        def __init__(self):
            self.got, self.answers = [], []

        def __call__(self, request):
            self.got.append(request)
            return Response(self.answers.pop(0) if self.answers else 200, {"ok": True})

    receiver = Receiver()
    server = Server(receiver).start()
    receiver.url = f"{server.url}/services/T0/secretpart"
    yield receiver
    server.stop()


def channel(
    people,
    receiver=None,
    *,
    who="alice",
    transport="slack",
    project=None,
    personal=False,
    told=None,
):
    address = receiver.url if receiver else "alice@example.com"
    told = list(KINDS) if told is None else told
    made, secret = actions.add_channel(
        project,
        actor=people[who],
        name="ops",
        transport=transport,
        address=address,
        kinds=told,
        personal=personal,
    )
    made.signing = secret
    return made


def tell(action, **values):
    with transaction.atomic():
        audit.record(**({"action": action, "actor": None, "sentence": "It stopped."} | values))


def run(*, later=timedelta()):
    """Everything that is due, as a worker does it."""
    for model in (NotificationFeed, Notice):
        model.objects.update(wake_at=timezone.now())
        for pk in model.objects.values_list("pk", flat=True):
            running.wake(model._meta.label, pk)


def texts(receiver):
    return [json.loads(one.body)["text"] for one in receiver.got]


def test_what_stopped_is_told_with_a_link_once(people, receiver, settings):
    project = make_project()
    release = make_release(project, by=people["alice"])
    channel(people, receiver)

    tell(
        "promotion.ended",
        outcome="failed",
        subject=release,
        sentence="Deploy of <backend> failed & stays.",
    )
    run()
    run()

    [text] = texts(receiver)
    assert "Deploy of &lt;backend&gt; failed &amp; stays." in text
    assert f"<{settings.PORTAL_URL}/releases/{release.pk}/|Open>" in text


def test_only_what_comes_after_the_channel_is_told(people, receiver):
    tell("promotion.ended", outcome="failed", sentence="Long ago.")
    channel(people, receiver)

    run()

    assert receiver.got == []


def test_a_signed_webhook_can_be_verified_as_the_specification_says(people, receiver):
    made = channel(people, receiver, transport="webhook")
    tell("project.frozen")
    run()

    [request] = receiver.got
    key = base64.b64decode(made.signing.removeprefix("whsec_"))
    signed = (
        f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode()
        + request.body
    )
    wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == wanted
    assert json.loads(request.body)["data"]["text"] == "It stopped."


def test_an_e_mail_says_it_with_a_link(people, settings):
    settings.SMTP_HOST = "smtp.example.com"
    channel(people, transport="email", personal=True)
    tell("health.failing", sentence="No worker has reported.", outcome="found")
    run()

    [letter] = mail.outbox
    assert letter.to == ["alice@example.com"] and "No worker has reported." in letter.body
    assert f"{settings.PORTAL_URL}/status/" in letter.body


def test_without_an_smtp_server_the_channel_says_so(people):
    made = channel(people, transport="email", personal=True)
    tell("health.failing", outcome="found")
    run()

    made.refresh_from_db()
    assert "set EMAIL_HOST" in made.problem and mail.outbox == []


def test_a_person_is_told_of_waiting_only_when_they_are_awaited(people, receiver):
    channel(people, receiver, who="bob", personal=True)
    channel(people, receiver, who="alice", personal=True)
    make_release(make_project(), by=people["alice"])
    run()

    [text] = texts(receiver)  # bob approves; alice cut it and may not
    assert "Waiting for: bob" in text and "alice" not in text


def test_a_team_channel_is_told_who_is_awaited_and_of_its_project_alone(people, receiver):
    ours, other = make_project(), make_project("billing")
    channel(people, receiver, project=ours)

    tell("rollback.requested", actor=people["bob"], scope=other.slug)
    tell("rollback.requested", actor=people["dave"], scope=ours.slug)
    tell("health.failing", outcome="found", sentence="The disk is full.")
    run()

    assert len(receiver.got) == 2
    assert "Waiting for: bob" in texts(receiver)[0]


def test_a_name_that_deceives_is_written_out_in_a_notification(people, receiver):
    User.objects.filter(username="bob").update(first_name="bo\u202eb", last_name="B\u200b")
    channel(people, receiver, project=make_project())

    tell("rollback.requested", actor=people["dave"], scope="inspector")
    run()

    assert "Waiting for: bo⟨U+202E⟩b B⟨U+200B⟩" in texts(receiver)[0]


def test_refused_events_and_kinds_that_were_not_chosen_are_not_told(people, receiver):
    channel(people, receiver, told=["shipped"])

    tell("release.promoted", outcome="refused")
    tell("promotion.ended", outcome="failed")
    tell("promotion.ended", outcome="done", sentence="All steps are done.")
    run()

    assert len(receiver.got) == 1 and "All steps are done." in texts(receiver)[0]


def test_somebody_who_left_is_not_told(people, receiver):
    channel(people, receiver, who="bob", personal=True)
    people["bob"].is_active = False
    people["bob"].save()

    tell("promotion.ended", outcome="failed")
    run()

    assert receiver.got == []


def test_a_receiver_that_is_out_of_order_is_tried_again_with_the_same_id(people, receiver):
    receiver.answers = [503, 429, 200]
    made = channel(people, receiver, transport="webhook")
    tell("project.frozen")

    for _ in range(4):
        run()

    assert len({one.headers["webhook-id"] for one in receiver.got}) == 1 and len(receiver.got) == 3
    made.refresh_from_db()
    assert Notice.objects.get().status == "succeeded" and made.problem == ""


def test_it_gives_up_after_many_tries_and_at_once_when_the_address_is_wrong(people, receiver):
    made = channel(people, receiver)
    tell("project.frozen")
    receiver.answers = [404]
    run()
    assert Notice.objects.get().status == "failed"
    made.refresh_from_db()
    assert "HTTP 404" in made.problem and "secretpart" not in made.problem

    tell("project.frozen")
    receiver.answers = [503] * 50
    for _ in range(deliver.MOST_TRIES + 2):
        run()
    assert len(receiver.got) == 1 + deliver.MOST_TRIES
    assert "Given up" in Notice.objects.latest("pk").sentence


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://169.254.169.254/latest",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/",
        "https://10.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
    ],
)
def test_no_address_inside_is_asked_outside_the_sandbox(people, settings, address):
    settings.SANDBOX = False
    made, _ = actions.add_channel(
        None,
        actor=people["alice"],
        name="",
        transport="slack",
        address=address,
        kinds=["health"],
        personal=True,
    )
    tell("health.failing", outcome="found")
    run()

    assert Notice.objects.get().status == "failed"
    made.refresh_from_db()
    assert "not on the public internet" in made.problem or "has no address" in made.problem


@pytest.mark.parametrize(
    "transport, address",
    [
        ("slack", "http://hooks.slack.com/x"),
        ("slack", "https://user:word@example.com/"),
        ("slack", "ftp://x"),
        ("slack", "javascript:alert(1)"),
        ("webhook", "https://exa mple.com"),
        ("webhook", "https://example.com:x/"),
        ("email", "nobody"),
        ("email", "a@b.c\nBcc: x@y.z"),
        ("pigeon", "https://example.com"),
    ],
)
def test_unfit_addresses_are_refused_with_an_event(people, transport, address):
    with pytest.raises(Refused):
        actions.add_channel(
            None,
            actor=people["alice"],
            name="",
            transport=transport,
            address=address,
            kinds=["health"],
            personal=True,
        )

    assert not Channel.objects.exists()
    assert AuditEvent.objects.get(action="channel.added").outcome == "refused"


def test_no_secret_of_the_settings_or_address_leaves(people, receiver, settings):
    settings.GITHUB_TOKEN = "github_pat_verysecret"
    made = channel(people, receiver, transport="webhook")
    tell("project.frozen", sentence=f"GitHub said github_pat_verysecret to {settings.SECRET_KEY}.")
    run()

    sent = receiver.got[0].body.decode()
    assert "verysecret" not in sent and settings.SECRET_KEY not in sent
    told = " ".join(map(str, AuditEvent.objects.values_list("sentence", "data_json")))
    assert "secretpart" not in told and made.signing not in told
    row = (
        Channel.objects.filter(pk=made.pk)
        .extra(select={"raw": "address || secret"})
        .values_list("raw")
        .get()
    )
    assert "secretpart" not in str(row) and made.signing not in str(row)


def test_only_who_may_manage_touches_a_teams_channel_and_nobody_anothers_own(people, receiver):
    team, own = channel(people, receiver), channel(people, receiver, who="bob", personal=True)

    with pytest.raises(NotPermitted):
        channel(people, receiver, who="bob")
    for row, who in ((team, "bob"), (own, "alice"), (own, "dave")):
        for act in (actions.remove_channel, actions.test_channel):
            with pytest.raises(NotPermitted):
                act(row, actor=people[who])
        with pytest.raises(NotPermitted):
            actions.change_channel(row, actor=people[who], kinds=["health"])
    actions.change_channel(own, actor=people["bob"], kinds=["health"])
    actions.remove_channel(team, actor=people["alice"])
    assert list(Channel.objects.values_list("kinds", flat=True)) == [["health"]]


def test_the_page_adds_tests_and_removes_and_shows_the_secret_once(people, receiver):
    client = Client()
    client.force_login(people["bob"], backend="django.contrib.auth.backends.ModelBackend")
    typed = {
        "name": "mine",
        "transport": "webhook",
        "address": receiver.url,
        "kinds": ["health"],
        "team": "on",
    }

    page = client.post("/notifications/", typed).text
    row = Channel.objects.get()
    assert row.person == people["bob"] and row.secret.reveal() in page  # “team” is not his to tick
    page = client.get("/notifications/").text
    assert row.secret.reveal() not in page and "secretpart" not in page and "mine" in page
    client.post(f"/notifications/{row.pk}/test/")
    run()
    assert b"sent this test notification" in receiver.got[0].body
    client.post(f"/notifications/{row.pk}/kinds/", {"kinds": ["shipped", "nonsense"]})
    assert Channel.objects.get().kinds == ["shipped"]
    client.post(f"/notifications/{row.pk}/remove/")
    assert not Channel.objects.exists()


def test_an_unfit_form_is_shown_again_with_its_fault(people):
    client = Client()
    client.force_login(people["bob"], backend="django.contrib.auth.backends.ModelBackend")

    page = client.post(
        "/notifications/", {"transport": "slack", "address": "x\x00y", "kinds": ["health"]}
    )
    assert page.status_code == 200 and "Null characters" in page.text
    page = client.post(
        "/notifications/",
        {"transport": "slack", "address": "http://x", "kinds": ["health"]},
        follow=True,
    )
    assert "https://" in page.text


def test_a_dead_worker_is_told_by_the_web_process(people, receiver):
    from portal.health import incidents, watch

    channel(people, receiver)
    now = timezone.now()
    for seconds in (0, 11):
        incidents.look(now + timedelta(seconds=seconds))
    NotificationFeed.objects.update(wake_at=now)
    watch.do_urgent_jobs()  # the trail is read
    watch.do_urgent_jobs()  # and what it said is sent, at the next beat

    assert any("No worker has reported" in text for text in texts(receiver))


def test_what_a_kind_tells_exists_in_the_code():
    """A name that no code records would never be told."""
    from pathlib import Path

    root = Path(actions.__file__).resolve().parents[2]
    sources = [
        path
        for app in ("portal", "environments", "releases")
        for path in (root / app).rglob("*.py")
    ]
    text = "".join(path.read_text() for path in sources if "kinds" not in path.parts)

    assert [
        name for kind in KINDS.values() for name in kind.events if f'"{name}"' not in text
    ] == []
    assert set(transports.TRANSPORTS) == {"slack", "webhook", "email"}
