"""Keeping in step takes few calls, counted where they arrive, and as many queries for much as
for little.
"""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from environments.models import Finding
from tests.bench.sync import (
    MOST_COLD,
    MOST_QUERIES,
    MOST_WARM,
    make_wrong,
    mirrored,
    read_both,
    scene,
)
from tests.factory import make_people
from tests.portal.audit_page.test_pages import signed_in

pytestmark = pytest.mark.django_db


def test_sixty_pull_requests_twelve_services_and_four_environments_take_few_calls():
    with scene("promised", pulls=60, services=12, environments=4) as at:
        cold, warm = read_both(at), read_both(at)

        assert mirrored(at) == (60, 48)
        assert cold.calls <= MOST_COLD and warm.calls <= MOST_WARM
        assert cold.railway == warm.railway == 1


def test_a_reading_takes_the_same_queries_for_much_as_for_little_also_when_much_is_wrong():
    costs = []
    with scene("before", pulls=0, services=1, environments=2) as at:
        read_both(at)  # the first request of a token begins its budget
    for name, services, environments in (("little", 1, 2), ("much", 6, 5)):
        with scene(name, pulls=4, services=services, environments=environments) as at:
            first, wrong = read_both(at), make_wrong(at)
            read_both(at)
            again = read_both(at)

            found = Finding.objects.filter(project=at.project, closed_at=None)
            assert (
                found.exclude(kind="bypass").count()
                == found.filter(kind="bypass").count()
                == wrong
                == services
            )
            assert mirrored(at) == (4, services * environments)
            costs.append((first.queries, again.queries))

    assert costs[0] == costs[1]
    assert max(costs[0]) <= MOST_QUERIES


@pytest.mark.slow
def test_sixty_services_in_twelve_environments_cost_as_few_calls_and_pages_as_few_queries():
    make_people()
    with scene("large", pulls=60, services=60, environments=12) as at:
        cold, warm = read_both(at), read_both(at)
        dave, pages = signed_in(User.objects.get(username="dave")), {}
        for name in (
            "releases:board",
            "environments:environments",
            "environments:variables",
            "environments:previews",
        ):
            with CaptureQueriesContext(connection) as queries:
                assert dave.get(f"{reverse(name)}?project={at.project.slug}").status_code == 200
            pages[name] = len(queries)

    assert cold.calls <= MOST_COLD and warm.calls <= MOST_WARM, (cold, warm)
    assert max(pages.values()) <= 15, pages
