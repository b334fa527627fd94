"""The pages after a failed migration, in Chromium."""

import pytest

from environments.models import MigrationRun
from tests.browser.looks import unreadable
from tests.environments.databases.test_failure import FAILED
from tests.factory import make_people, make_project, make_release, make_run

pytestmark = pytest.mark.django_db(transaction=True)
LONG = {
    "kept": [*FAILED["kept"], "CREATE TABLE " + "w" * 150 + " (id INTEGER)"],
    "invalid_indexes": ["ix_events", "i" * 63],
}


def test_it_is_read_in_both_schemes_and_on_a_phone_and_retried_by_a_click_without_scripts(
    open_as, complaints
):
    alice = make_people()["alice"]
    project = make_project()
    release = make_release(project, by=alice)
    run = make_run(project, **FAILED | LONG)
    address = f"/migrations/{run.pk}/"
    page = open_as(alice, address)

    assert unreadable(page, address, f"/releases/{release.pk}/") == []
    page = open_as(alice, address, java_script_enabled=False)
    page.click("#retry-run")

    fresh = MigrationRun.objects.order_by("-pk")[0]
    assert fresh.pk != run.pk and page.url.endswith(f"/migrations/{fresh.pk}/")
    assert complaints == []
