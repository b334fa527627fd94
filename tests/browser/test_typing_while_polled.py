"""What a person types, and where the focus is, survives every answer that arrives meanwhile."""

import pytest
from django.utils import timezone

from releases.models.checklist import ChecklistItem
from releases.models.promotion import Promotion, PromotionStep
from releases.models.releases import Release
from tests.factory import make_people, make_project, make_promotion, make_release

pytestmark = pytest.mark.django_db(transaction=True)

WORDS = "xjk with Dana?"


@pytest.fixture
def people(transactional_db):
    return make_people()


@pytest.fixture
def release(people):
    return make_release(make_project(), by=people["alice"])


@pytest.fixture
def item(release) -> ChecklistItem:
    return release.items.get(text="Release notes read")


def opened(open_as, people, release: Release):
    return open_as(people["alice"], f"/releases/{release.pk}/")


def poll(page) -> None:
    """Let the page ask for its panels once, and wait until the answer is on the screen."""
    page.evaluate(
        """() => new Promise((done) => {
            const heard = (event) => {
                if (!event.detail.xhr.responseURL.endsWith("/panels/")) return;
                document.removeEventListener("htmx:afterRequest", heard);
                done();
            };
            document.addEventListener("htmx:afterRequest", heard);
            document.body.dispatchEvent(new CustomEvent("portal:changed"));
        })"""
    )


class Late:
    """Holds back the answer to the next request for `pattern` until the test lets it go."""

    def __init__(self, page, pattern: str) -> None:
        self.page, self.held = page, []
        page.route(pattern, lambda route: self.held.append((route, route.fetch())), times=1)

    def wait(self) -> None:
        for _ in range(250):
            if self.held:
                return
            self.page.wait_for_timeout(20)
        raise AssertionError("Nothing was asked.")

    def let_go(self) -> None:
        route, answer = self.held.pop()
        with self.page.expect_event("requestfinished"):
            route.fulfill(response=answer)
        self.page.wait_for_timeout(100)


def test_a_note_is_typed_while_every_letter_is_followed_by_a_changed_panel(
    open_as, people, release, item
):
    page = opened(open_as, people, release)
    page.focus(f"#item-{item.pk}")
    page.keyboard.press("n")

    for letter in WORDS:
        page.keyboard.type(letter)
        ChecklistItem.objects.filter(pk=item.pk).update(text=f"Notes read, {letter}")
        poll(page)
        page.wait_for_selector(f"#item-{item.pk} >> text=Notes read, {letter}")

    assert page.input_value(f"#note-{item.pk}") == WORDS


def test_the_answer_to_a_tick_arrives_while_a_note_is_typed_below_it(
    open_as, people, release, item
):
    page = opened(open_as, people, release)
    late = Late(page, "**/tick/")
    page.focus(f"#item-{item.pk}")
    page.keyboard.press("x")
    late.wait()

    page.keyboard.press("n")
    page.keyboard.type(WORDS[:8])
    late.let_go()
    page.keyboard.type(WORDS[8:])
    poll(page)

    assert page.input_value(f"#note-{item.pk}") == WORDS
    assert page.evaluate("document.activeElement.id") == f"note-{item.pk}"


def test_a_poll_sent_before_a_tick_does_not_take_the_tick_back(open_as, people, release, item):
    page = opened(open_as, people, release)
    late = Late(page, "**/panels/")
    page.evaluate("document.body.dispatchEvent(new CustomEvent('portal:changed'))")
    late.wait()
    page.focus(f"#item-{item.pk}")
    page.keyboard.press("x")
    page.wait_for_selector(f"#tick-{item.pk}[aria-checked=true]")

    late.let_go()

    assert page.get_attribute(f"#tick-{item.pk}", "aria-checked") == "true"


def test_a_form_that_is_gone_on_the_server_keeps_its_words_and_says_that_it_changed(
    open_as, people, release
):
    make_promotion(release, by=people["alice"], at="merge", failed=True)
    page = opened(open_as, people, release)
    page.click("#open-stop")
    page.fill("#stop-reason", "half a sen")
    page.evaluate("document.activeElement.blur()")

    PromotionStep.objects.filter(name="merge").update(status="running")
    Promotion.objects.update(status="running", heartbeat_at=timezone.now())
    poll(page)

    assert page.input_value("#stop-reason") == "half a sen"


def test_the_row_keeps_the_focus_after_a_note_was_sent(open_as, people, release, item):
    page = opened(open_as, people, release)
    page.focus(f"#item-{item.pk}")
    page.keyboard.press("n")
    page.keyboard.type(WORDS)
    page.keyboard.press("Enter")
    page.wait_for_selector(f"#tick-{item.pk}[aria-checked=true]")
    poll(page)

    assert ChecklistItem.objects.get(pk=item.pk).note == WORDS
    assert page.evaluate("document.activeElement.id") == f"item-{item.pk}"
