"""What a person chooses on the page Notifications is what reaches their receiver, in Chromium and
over a socket.
"""

import json

import pytest
from django.db import transaction
from django.utils import timezone

from portal import audit
from portal.jobs import running
from portal.sandbox.server import Response, Server
from releases.models import Channel, Notice, NotificationFeed
from tests.factory import make_people, make_project

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def receiver(settings):
    """A Slack-compatible receiver on loopback, as the sandbox allows; `texts()` is what came."""
    settings.SANDBOX = True

    class Receiver:
        def __init__(self):
            self.got = []

        def __call__(self, request):
            self.got.append(json.loads(request.body)["text"])
            return Response(200, {"ok": True})

    receiver = Receiver()
    server = Server(receiver).start()
    receiver.url = f"{server.url}/services/T0/x"
    yield receiver
    server.stop()


def happens(project, sentence):
    """The project was frozen, and the worker did what is due."""
    with transaction.atomic():
        audit.record("project.frozen", actor=None, subject=project, sentence=sentence)
    for model in (NotificationFeed, Notice):
        model.objects.update(wake_at=timezone.now())
        for pk in model.objects.values_list("pk", flat=True):
            running.wake(model._meta.label, pk)


def choose(page, channel, label, is_wanted):
    """Tick or untick one kind of the person's own channel, and save."""
    row = page.locator(f"#channel-{channel.pk}")
    row.locator("summary").click()
    row.get_by_label(label).set_checked(is_wanted)
    row.locator("button >> text=Save").click()
    page.wait_for_selector("text=Noted.")


def test_a_person_is_told_what_they_chose_of_the_project_they_chose(open_as, receiver, complaints):
    people, project, other = make_people(), make_project(), make_project("second")
    page = open_as(people["bob"], "/notifications/")
    assert page.locator("#id_team").count() == 0, "A team's channels are not for an approver."

    page.fill("#id_name", "mine")
    page.select_option("#id_transport", "slack")
    page.fill("#id_address", receiver.url)
    page.select_option("#id_project", label=project.name)
    page.get_by_label("Approved, abandoned, frozen").check()
    page.get_by_label("Health of the portal").check()
    page.click("#add-channel")
    page.wait_for_selector("text=Channel added.")
    channel = Channel.objects.get()
    happens(project, "Frozen for the fair.")
    happens(other, "Another project is frozen.")
    choose(page, channel, "Approved, abandoned, frozen", False)
    happens(project, "Frozen again.")
    choose(page, channel, "Approved, abandoned, frozen", True)
    happens(project, "Frozen for good.")

    assert channel.person == people["bob"] and channel.project == project
    assert len(receiver.got) == 2, receiver.got
    assert "Frozen for the fair." in receiver.got[0] and "Frozen for good." in receiver.got[1]
    assert complaints == []
