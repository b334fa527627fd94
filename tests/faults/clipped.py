"""Every page of the portal and of its admin at 1280 and 390 pixels: nothing is cut off.

`python -m tests.faults.clipped [PART OF A PATH …]`, or by `make faults`. Names each element whose
content is wider than itself, unless it scrolls, and each page that scrolls sideways; every
`<details>` is open and every field is looked at. PICTURES_TO=folder keeps a picture of each page.
Ends with 1 when something is cut off.
"""

from tests.faults.accessibility import is_asked, pages, served  # first: it sets Django up

# isort: split
import logging
import os
import sys

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import setup_test_environment
from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import ARGUMENTS, CHROMIUM, session_of
from tests.portal.accounts.addresses import furnish
from tests.scratch import scratch_database

SIZES = ({"width": 1280, "height": 900}, {"width": 390, "height": 800})

CUT = """() => {
  document.querySelectorAll('details:not(.ask)').forEach(one => { one.open = true; });
  const name = (e) => `${e.tagName.toLowerCase()}#${e.id}.${e.className}`;
  const found = [], pen = document.createElement('canvas').getContext('2d');
  if (document.documentElement.scrollWidth > innerWidth) found.push('the page itself');
  for (const e of document.querySelectorAll('body *')) {
    if (!e.checkVisibility()) continue;
    if (e.closest('.unseen, .skip, .visually-hidden, svg')) continue;
    const style = getComputedStyle(e);
    const scrolls = ['auto', 'scroll'].includes(style.overflowX);
    if (scrolls && (innerWidth < 1000 || !e.querySelector('input, select, textarea'))) continue;
    const control = e.matches('input, select, button, .button');
    if (style.display.startsWith('inline') && !control) continue;
    // An icon whose words are for those who do not see it; a box's own frame.
    if (e.matches('option, .selector-add, .selector-remove, label')) continue;
    if (e.querySelector(':scope > input[type=checkbox]:only-child')) continue;
    if (e.matches('select:not([multiple], [size])')) {
      pen.font = style.font;
      const words = e.selectedOptions[0]?.text || '', room = e.clientWidth
        - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - 14;  // its arrow
      if (pen.measureText(words).width > room + 6) found.push(`${name(e)} “${words}”`);
    }
    if (e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0) {
      const words = (e.value || e.innerText || '').trim().slice(0, 40);
      found.push(`${name(e)} ${e.scrollWidth} > ${e.clientWidth} “${words}”`);
    }
  }
  return found;
}"""


def cut_off(page: Page, path: str) -> list[str]:
    """What is cut off on the page at `path`, at each width."""
    found = []
    page.goto(path)
    for size in SIZES:
        page.set_viewport_size(size)  # type: ignore[arg-type]
        found += [f"{path} at {size['width']}: {one}" for one in page.evaluate(CUT)]
        if folder := os.environ.get("PICTURES_TO"):
            known = path.strip("/").replace("/", "-") or "board"
            page.screenshot(path=f"{folder}/{known}-{size['width']}.png", full_page=True)
    return found


def main() -> int:
    """Print what is cut off; 1 when anything is."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    setup_test_environment()
    logging.disable(logging.CRITICAL)
    settings.SANDBOX = True  # the page Practise is there in the sandbox only
    parts, lines, asked = sys.argv[1:], [], 0
    with scratch_database():
        with served() as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            page = browser.new_context(base_url=url).new_page()
            furnish()
            if is_asked("/admin/login/", parts):
                lines += cut_off(page, "/admin/login/")
            user = User.objects.create(username="wide", is_staff=True, is_superuser=True)
            cookie = {"name": "sessionid", "value": session_of(user), "url": url}
            page.context.add_cookies([cookie])  # type: ignore[list-item]
            for path in pages(user, parts):
                found = cut_off(page, path)
                print(path.ljust(70), len(found), flush=True)
                lines, asked = lines + found, asked + 1
            browser.close()
        print("\n".join(lines))
        print(f"{asked} pages, {len(lines)} elements cut off")
        with connection.cursor() as cursor:  # a thread of the server may still hold one
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    return 1 if lines or not asked else 0


if __name__ == "__main__":
    sys.exit(main())
