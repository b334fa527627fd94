"""The pages in a real browser: keys, life without reloading, and what must hold without scripts or on a phone."""

import re

import pytest

from environments.models import MigrationRun
from releases.models import ChecklistItem, Promotion, PromotionStep, PullRequest, Release
from tests.factory import PASSWORD, make_people, make_project, make_promotion, make_release, make_run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(transactional_db):
    return make_people()


@pytest.fixture
def release(people):
    return make_release(make_project(), by=people["alice"])


def address(release: Release) -> str:
    return f"/releases/{release.pk}/"


def the_item(release: Release) -> ChecklistItem:
    return release.items.get(text="Release notes read")


def walk_to(page, item: ChecklistItem) -> None:
    """Moves along the checklist with j until `item` has the focus."""
    for _ in range(20):
        page.keyboard.press("j")
        if page.evaluate("document.activeElement.id") == f"item-{item.pk}":
            return
    raise AssertionError("j never came to the item")


def test_j_x_ticks_and_x_again_takes_it_back_without_reloading(open_as, people, release, complaints):
    item = the_item(release)
    page = open_as(people["alice"], address(release))
    page.evaluate("window.kept = true")

    walk_to(page, item)
    page.keyboard.press("x")
    page.wait_for_selector(f"#tick-{item.pk}[aria-checked=true]")
    ticked = ChecklistItem.objects.get(pk=item.pk).ticked_by
    focus = page.evaluate("document.activeElement.id")
    page.keyboard.press("x")
    page.wait_for_selector(f"#tick-{item.pk}[aria-checked=false]")

    assert (ticked, focus) == (people["alice"], f"item-{item.pk}")
    assert page.evaluate("window.kept")
    assert ChecklistItem.objects.get(pk=item.pk).ticked_at is None
    assert complaints == []


def test_n_opens_the_note_and_enter_ticks_with_it(open_as, people, release):
    item = the_item(release)
    page = open_as(people["alice"], address(release))

    walk_to(page, item)
    page.keyboard.press("n")
    page.keyboard.type("xjk with Dana?")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"#tick-{item.pk}[aria-checked=true]")

    assert ChecklistItem.objects.get(pk=item.pk).note == "xjk with Dana?"


def test_a_tick_refreshes_what_stands_between(open_as, people, release):
    page = open_as(people["alice"], address(release))

    page.click(f"#tick-{the_item(release).pk}")

    page.wait_for_selector("text=One thing stands between this release and production.", timeout=5000)


def test_the_page_is_live_without_reloading(open_as, people, release):
    make_promotion(release, by=people["alice"], at="deploy")
    page = open_as(people["bob"], address(release))
    page.evaluate("window.kept = true")

    PromotionStep.objects.filter(name="deploy").update(sentence="frontend is still building.")
    page.wait_for_selector("#promotion >> text=frontend is still building.", timeout=6000)
    PromotionStep.objects.filter(name="deploy").update(status="failed", sentence="The build broke.")
    Promotion.objects.update(status="failed")
    page.wait_for_selector("#now >> text=Deploy failed.", timeout=6000)

    assert page.evaluate("window.kept")


def test_a_poll_disturbs_neither_words_nor_details(open_as, people, release):
    make_promotion(release, by=people["alice"], at="merge", failed=True)
    make_run(release.project, status="running", finished_at=None)  # so that the page looks every two seconds
    page = open_as(people["alice"], address(release))
    page.click("#ask-stop > summary")
    page.fill("#stop-reason", "half a sen")
    page.evaluate("document.activeElement.blur()")

    PromotionStep.objects.filter(name="merge").update(sentence="Another word on the merge.")
    page.wait_for_selector("#promotion >> text=Another word on the merge.", timeout=6000)

    assert page.input_value("#stop-reason") == "half a sen"
    assert page.evaluate("document.getElementById('ask-stop').open")


def test_a_field_that_is_being_typed_in_is_not_replaced(open_as, people, release):
    make_run(release.project, status="running", finished_at=None)
    item = the_item(release)
    page = open_as(people["alice"], address(release))
    page.click(f"#noting-{item.pk} > summary")
    page.type(f"#note-{item.pk}", "typing")
    page.evaluate("document.activeElement.dataset.same = 'yes'")

    ChecklistItem.objects.filter(release=release, gate="ci_green").update(text="CI is greener")
    with page.expect_response(re.compile("/panels/")):
        pass
    page.wait_for_timeout(300)

    assert page.evaluate("document.activeElement.dataset.same") == "yes"
    assert page.input_value(f"#note-{item.pk}") == "typing"


def test_the_log_of_a_running_migration_grows_on_the_page_and_stays_at_its_end(open_as, people, release):
    run = make_run(release.project, status="running", finished_at=None, log="line\n" * 200)
    page = open_as(people["alice"], address(release))
    page.wait_for_selector(f"#log-{run.pk}")

    MigrationRun.objects.filter(pk=run.pk).update(log="line\n" * 200 + "the very last line\n")
    page.wait_for_selector("#log >> text=the very last line", timeout=5000)

    end = page.evaluate(
        f"(l => l.scrollHeight - l.scrollTop - l.clientHeight)(document.getElementById('log-{run.pk}'))"
    )
    assert end < 8


def test_it_is_complete_without_scripts(open_as, people, release):
    item = the_item(release)
    page = open_as(people["alice"], address(release), java_script_enabled=False)

    page.click(f"#noting-{item.pk} > summary")
    page.fill(f"#note-{item.pk}", "read on paper")
    page.click(f"#tick-{item.pk}")
    page.click("#migrate-staging")

    assert ChecklistItem.objects.get(pk=item.pk).note == "read on paper"
    assert "The migration of staging is queued." in page.inner_text(".messages")
    page.click("text=Open the run")
    assert page.inner_text("h1").startswith("Migration")


def test_signing_in_and_out_by_hand(open_as, people, release):
    page = open_as(None, address(release))

    page.fill("#id_username", "alice")
    page.fill("#id_password", PASSWORD)
    page.click("text=Sign in >> nth=-1")
    page.wait_for_selector("h1 >> text=Release 2026.11.22-1")
    page.click("text=Sign out")

    page.goto("/")
    assert "/admin/login/" in page.url


def test_the_theme_is_remembered(open_as, people):
    page = open_as(people["alice"], "/")

    page.click("[data-theme-switch]")
    page.click("[data-theme-switch]")
    page.reload()

    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 17, 22)"


def test_no_page_breaks_the_content_policy_or_complains(open_as, people, release, complaints):
    make_promotion(release, by=people["alice"], at="deploy", failed=True)
    run = make_run(release.project)
    for path in ("/", "/releases/", address(release), "/environments/", "/migrations/", f"/migrations/{run.pk}/",
                 "/audit/", "/admin/", f"/admin/environments/project/{release.project_id}/change/",
                 "/admin/releases/checklisttemplate/1/change/"):  # fmt: skip
        page = open_as(people["dave"], path)
        page.wait_for_timeout(150)
        page.context.close()

    assert complaints == []


def test_nothing_scrolls_sideways_on_a_phone_whatever_the_names(open_as, people, release):
    long = "W" * 200
    PullRequest.objects.filter(number=128).update(title=long + " <script>alert(1)</script> 名前" + "é" * 60)
    Release.objects.filter(pk=release.pk).update(notes=long)
    the_item(release).__class__.objects.filter(pk=the_item(release).pk).update(text=long)
    release.project.services.filter(name="backend").update(name="service-" + "x" * 190)
    run = make_run(release.project)
    for path in ("/", "/releases/", address(release), "/environments/", "/migrations/", f"/migrations/{run.pk}/",
                 "/audit/", "/admin/login/", "/nothing-here/"):  # fmt: skip
        page = open_as(people["alice"], path, viewport={"width": 360, "height": 740})

        assert page.evaluate("document.documentElement.scrollWidth") <= 360, (path, page.evaluate(WIDE))
        page.context.close()


# What reaches beyond the right edge, without what scrolls inside its own card.
WIDE = """() => [...document.querySelectorAll('body *')]
  .filter(e => e.getBoundingClientRect().right > 361 && !e.closest('.scroll, pre'))
  .map(e => `${e.tagName}.${e.className}#${e.id}`).slice(0, 8)"""

CONTRAST = """() => {
  const lum = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const behind = (element) => { for (; element; element = element.parentElement) {
    const colour = rgba(getComputedStyle(element).backgroundColor);
    if (colour[3] === 255) return colour; } return [255, 255, 255]; };
  const bad = [];
  for (const element of document.querySelectorAll('body *')) {
    const words = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!words || !element.checkVisibility() || element.closest('[disabled], .unseen, .skip')) continue;
    const a = lum(rgba(getComputedStyle(element).color)), b = lum(behind(element));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    const name = `${element.className || element.tagName} “${element.textContent.trim().slice(0, 30)}”`;
    if (ratio < 4.5) bad.push(`${name} ${ratio.toFixed(2)}`);
  }
  return bad;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(open_as, people, release, scheme):
    make_promotion(release, by=people["alice"], at="deploy", failed=True)
    run = make_run(release.project)
    for path in ("/", address(release), "/environments/", f"/migrations/{run.pk}/", "/audit/"):
        page = open_as(people["alice"], path, color_scheme=scheme)

        assert page.evaluate(CONTRAST) == [], path
        page.context.close()
