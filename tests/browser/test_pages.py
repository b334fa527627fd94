"""The pages in a real browser: keys, life without reloading, and what must hold without scripts
or on a phone.
"""

import re

import pytest

from environments.models import MigrationRun
from portal.models.audit import AuditEvent
from releases.models.checklist import ChecklistItem
from releases.models.promotion import Promotion, PromotionStep
from releases.models.pull_requests import PullRequest
from releases.models.releases import Release
from tests.browser.looks import unreadable
from tests.factory import (
    PASSWORD,
    make_people,
    make_project,
    make_promotion,
    make_release,
    make_run,
    make_stamp,
)

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


def test_the_checklist_is_worked_by_keys_without_reloading(open_as, people, release, complaints):
    item = the_item(release)
    page = open_as(people["alice"], address(release))
    page.evaluate("window.kept = true")

    walk_to(page, item)
    page.keyboard.press("x")
    page.wait_for_selector(f"#tick-{item.pk}[aria-checked=true]")
    ticked = ChecklistItem.objects.get(pk=item.pk).ticked_by
    focus = page.evaluate("document.activeElement.id")
    page.wait_for_selector("text=1 check left before promotion", timeout=5000)
    page.keyboard.press("x")
    page.wait_for_selector(f"#tick-{item.pk}[aria-checked=false]")
    taken_back = ChecklistItem.objects.get(pk=item.pk).ticked_at
    page.keyboard.press("n")
    page.keyboard.type("xjk with Dana?")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"#tick-{item.pk}[aria-checked=true]")

    assert (ticked, focus, taken_back) == (people["alice"], f"item-{item.pk}", None)
    assert ChecklistItem.objects.get(pk=item.pk).note == "xjk with Dana?"
    assert page.evaluate("window.kept")
    assert complaints == []


def test_a_promotion_is_told_live_and_disturbs_neither_words_nor_details(open_as, people, release):
    make_promotion(release, by=people["alice"], at="merge")
    page = open_as(people["alice"], address(release))
    page.evaluate("window.kept = true")

    PromotionStep.objects.filter(name="merge").update(sentence="CI is still running.")
    page.wait_for_selector("#promotion >> text=CI is still running.", timeout=6000)
    make_run(
        release.project, status="running", finished_at=None
    )  # so that the page looks every two seconds
    PromotionStep.objects.filter(name="merge").update(status="failed", sentence="CI is red.")
    Promotion.objects.update(status="failed")
    page.wait_for_selector("#now >> text=Merge failed.", timeout=6000)
    page.click("#open-stop")
    page.fill("#stop-reason", "half a sen")
    page.evaluate("document.activeElement.blur()")
    PromotionStep.objects.filter(name="merge").update(sentence="Another word on the merge.")
    page.wait_for_selector("#promotion >> text=Another word on the merge.", timeout=6000)

    assert page.input_value("#stop-reason") == "half a sen"
    assert page.evaluate("document.getElementById('ask-stop').open")
    assert page.evaluate("window.kept")


def test_the_log_of_a_migration_grows_and_stays_at_its_end_and_what_is_typed_meanwhile_stays(
    open_as, people, release
):
    run = make_run(release.project, status="running", finished_at=None, log="line\n" * 200)
    item = the_item(release)
    page = open_as(people["alice"], address(release))
    page.wait_for_selector(f"#log-{run.pk}")
    page.click(f"#noting-{item.pk} > summary")
    page.type(f"#note-{item.pk}", "typing")
    page.evaluate("document.activeElement.dataset.same = 'yes'")

    ChecklistItem.objects.filter(release=release, gate="ci_green").update(text="CI is greener")
    MigrationRun.objects.filter(pk=run.pk).update(log="line\n" * 200 + "the very last line\n")
    with page.expect_response(re.compile("/panels/")):
        pass
    page.wait_for_selector("#log >> text=the very last line", timeout=5000)

    end = page.evaluate(
        "(l => l.scrollHeight - l.scrollTop -"
        f" l.clientHeight)(document.getElementById('log-{run.pk}'))"
    )
    assert end < 8
    assert page.evaluate("document.activeElement.dataset.same") == "yes"
    assert page.input_value(f"#note-{item.pk}") == "typing"


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


def test_signing_in_and_out_by_hand_with_a_theme_that_is_remembered(open_as, people, release):
    page = open_as(None, address(release))

    page.fill("#id_username", "alice")
    page.fill("#id_password", PASSWORD)
    page.click("text=Sign in >> nth=-1")
    page.wait_for_selector("h1 >> text=Release 2026.11.22-1")
    page.click("[data-theme-switch]")
    page.click("[data-theme-switch]")
    page.reload()
    theme = page.evaluate("document.documentElement.dataset.theme")
    behind = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("text=Sign out")

    page.goto("/")
    assert "/admin/login/" in page.url
    assert (theme, behind) == ("dark", "rgb(14, 17, 22)")


def test_an_auditor_who_sends_a_form_all_the_same_is_refused_with_a_sentence(open_as, people):
    release = make_release(make_project(), by=people["alice"], ready=True)
    page = open_as(people["carol"], address(release))

    page.evaluate(
        "address => document.querySelector('nav form').setAttribute('action', address)",
        address(release) + "promote/",
    )
    page.click("text=Sign out")
    page.wait_for_selector(".messages")

    assert "You are not allowed to do this" in page.inner_text(".messages")
    assert Release.objects.get().status == "open"
    assert AuditEvent.objects.filter(
        actor_name="carol", outcome="refused", action="release.promoted"
    ).exists()


def test_no_page_breaks_the_content_policy_or_complains(open_as, people, release, complaints):
    make_promotion(release, by=people["alice"], at="deploy", failed=True)
    run = make_run(release.project)
    stamp = make_stamp(release.project, by=people["alice"])
    page = open_as(people["dave"])
    for path in (
        f"/stamps/{stamp.pk}/",
        "/releases/",
        address(release),
        "/environments/",
        "/migrations/",
        f"/migrations/{run.pk}/",
        "/audit/",
        "/status/",
        "/notifications/",
        "/account/second-factor/",
        "/admin/",
        f"/admin/environments/project/{release.project_id}/change/",
        "/admin/releases/checklisttemplate/1/change/",
        "/",
    ):
        page.goto(path, wait_until="networkidle")
        page.evaluate("new Promise(done => setTimeout(done))")

    assert complaints == []


def test_every_page_can_be_read_in_both_schemes_and_on_a_phone_whatever_the_names(
    open_as, people, release
):
    long = "W" * 200
    PullRequest.objects.filter(number=128).update(
        title=long + " <script>alert(1)</script> 名前" + "é" * 60
    )
    Release.objects.filter(pk=release.pk).update(notes=long)
    the_item(release).__class__.objects.filter(pk=the_item(release).pk).update(text=long)
    release.project.services.filter(name="backend").update(name="service-" + "x" * 190)
    run = make_run(release.project)
    stamp = make_stamp(release.project, by=people["alice"], equal=[[long[:90]], ["b2"]])
    page = open_as(people["alice"])

    paths = (
        f"/stamps/{stamp.pk}/",
        "/",
        "/releases/",
        address(release),
        "/environments/",
        "/migrations/",
        f"/migrations/{run.pk}/",
        "/audit/",
        "/status/",
    )
    paths += ("/account/second-factor/",)
    assert unreadable(page, *paths, "/admin/login/", "/nothing-here/") == []
    make_promotion(release, by=people["alice"], at="deploy", failed=True)
    assert unreadable(page, "/", address(release), "/audit/", "/status/") == []


def test_a_stamp_is_proposed_and_approved_by_two_people_by_clicking(open_as, people, release):
    stamp = make_stamp(release.project, by=people["alice"], equal=[["b2"], ["a1"]])
    page = open_as(people["alice"], f"/stamps/{stamp.pk}/")

    page.select_option("#stamp-target", "a1")
    page.fill("#stamp-reason", "Adopted from the old server.")
    page.click("text=Propose")
    page.wait_for_selector("text=The stamp is proposed; a second person approves it.")
    mine = page.locator("#stamp-approve").count()
    other = open_as(people["bob"], f"/stamps/{stamp.pk}/")
    other.click("#stamp-approve")
    other.wait_for_selector("text=The stamp is being written.")

    stamp.refresh_from_db()
    assert (mine, stamp.target, stamp.proposed_by, stamp.approved_by) == (
        0,
        ["a1"],
        people["alice"],
        people["bob"],
    )
