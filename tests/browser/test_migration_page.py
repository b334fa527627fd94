"""The pages after a failed migration, in Chromium."""

import pytest

from environments.models import MigrationRun
from tests.browser.test_pages import CONTRAST, WIDE
from tests.environments.test_aftermath import FAILED
from tests.factory import make_people, make_project, make_release, make_run

pytestmark = pytest.mark.django_db(transaction=True)
LONG = {
    "kept": [*FAILED["kept"], "CREATE TABLE " + "w" * 150 + " (id INTEGER)"],
    "invalid_indexes": ["ix_events", "i" * 63],
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_read_on_a_phone_and_retried_by_a_click(open_as, complaints, scheme):
    alice = make_people()["alice"]
    project = make_project()
    release = make_release(project, by=alice)
    run = make_run(project, **FAILED | LONG)

    for address in (f"/migrations/{run.pk}/", f"/releases/{release.pk}/"):
        page = open_as(alice, address, color_scheme=scheme, viewport={"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, (address, page.evaluate(WIDE))
        assert page.evaluate(CONTRAST) == []
    page = open_as(alice, f"/migrations/{run.pk}/", color_scheme=scheme, java_script_enabled=False)
    page.click("#retry-run")

    fresh = MigrationRun.objects.order_by("-pk")[0]
    assert fresh.pk != run.pk and page.url.endswith(f"/migrations/{fresh.pk}/")
    assert complaints == []
