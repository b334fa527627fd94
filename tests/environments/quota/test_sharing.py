"""Releases and repairs go before readings in the background, and nobody asks in vain."""

from datetime import timedelta
from hashlib import sha256

import pytest
from django.utils import timezone

from environments.models import RailwayRateLimit, Repair, RepairKind
from environments.quota import sharing
from environments.railway import request_counts
from environments.railway_mirror.jobs import sync_railway
from environments.repairs import steps as repairs
from portal import observed
from portal.jobs import Requeue
from portal.models.health import Observation
from portal.outbound import http
from releases.github_mirror.jobs import sync_github
from releases.models import Promotion
from releases.promotion import steps as promotion_steps
from tests.factory import make_people, make_project, make_promotion, make_release

pytestmark = pytest.mark.django_db
NOW = timezone.now()
TOKEN = "sandbox-railway-token"
ACCOUNT = sha256(b"github account sandbox-github-token").hexdigest()[:16]


@pytest.fixture
def project(settings):
    settings.RAILWAY_API_TOKEN, settings.GITHUB_TOKEN = TOKEN, "sandbox-github-token"
    settings.GITHUB_API_URL = settings.RAILWAY_API_URL = "http://127.0.0.1:9"  # nobody is there
    http.calls.clear()
    return make_project(now=NOW)


def github_says(left: int, minutes: int = 40) -> None:
    value = {
        "remaining": left,
        "limit": 5000,
        "reset": int((NOW + timedelta(minutes=minutes)).timestamp()),
    }
    Observation.objects.update_or_create(
        name=f"github.left.core.{ACCOUNT}", defaults={"value": value, "at": NOW}
    )


def railway_says(left: int) -> None:
    RailwayRateLimit.objects.create(
        token=request_counts.key_of(TOKEN),
        hour=NOW,
        limit=1000,
        remaining=left,
        resets_at=NOW + timedelta(minutes=40),
    )


def promoting(project) -> Promotion:
    people = make_people()
    release = make_release(project, by=people["alice"])
    return make_promotion(release, by=people["alice"], at="deploy")


def repair(project) -> Repair:
    return Repair.objects.create(
        project=project, kind=RepairKind.KEEP_HEADS, created_at=NOW, wake_at=NOW
    )


def asked() -> int:
    return sum(http.calls.values())


def test_an_exhausted_quota_ends_a_promotion_s_and_a_repair_s_look_in_a_sentence(project):
    job, fix = promoting(project), repair(project)
    github_says(0)

    said = [
        promotion_steps.advance(job, now=NOW),
        repairs.step(fix, now=NOW),
        sync_github(project.github_sync, now=NOW),
    ]

    assert asked() == 0
    assert all(isinstance(one, Requeue) and 2390 < one.seconds <= 2400 for one in said)
    assert said[0].sentence == "GitHub's requests are used up: it goes on in 40 min."
    assert "GitHub's requests for this hour are nearly used up" in said[2].sentence


def test_railway_s_word_that_nothing_is_left_holds_for_a_promotion_too(project):
    job = promoting(project)
    railway_says(0)

    said = promotion_steps.advance(job, now=NOW)

    assert asked() == 0 and said.seconds > 2390
    assert said.sentence == "Railway's requests are used up: it goes on in 40 min."


def test_a_promotion_takes_the_last_requests_and_background_readings_leave_it_half(project):
    job, github, railway = promoting(project), project.github_sync, project.railway_sync
    github_says(2000)
    railway_says(400)
    before = [sharing.behind(project, NOW), sharing.kept(NOW)]

    promotion_steps.advance(job, now=NOW)
    of_the_promotion = asked()
    observed.keep(at_once=True)
    said = [sync_github(github, now=NOW), sync_railway(railway, now=NOW)]

    assert before == [None, 0.15]
    assert of_the_promotion > 0 and asked() == of_the_promotion
    assert [one.seconds for one in said] == [300, 300]
    assert "A release is under way" in said[0].sentence
    assert sharing.behind(project, NOW + timedelta(minutes=6)) is None


def test_what_github_refuses_for_its_limit_stops_everybody_until_then(project):
    limits_until = NOW + timedelta(minutes=3)
    Observation.objects.create(
        name=f"github.left.blocked.{ACCOUNT}", value=limits_until.timestamp(), at=NOW
    )

    with sharing.ahead(project, NOW) as pause:
        assert pause is not None and 170 < pause.seconds <= 180
    with sharing.ahead(project, NOW + timedelta(minutes=4)) as pause:
        assert pause is None
