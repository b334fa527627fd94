"""What every template must hold, read from its source."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_what_scrolls_can_be_reached_by_keyboard_and_has_a_name():
    bare = [
        f"{path.relative_to(ROOT)}: {tag}"
        for path in (ROOT / "templates").rglob("*.html")
        for tag in re.findall(r"<div\s[^>]*class=\"scroll\"[^>]*>", path.read_text())
        if not ("tabindex=" in tag and re.search(r"aria-label(ledby)?=", tag))
    ]

    assert bare == []


def test_a_box_of_text_that_the_admin_makes_can_be_scrolled_by_keyboard():
    bare = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for app in ("portal", "environments", "releases")
        for path in (ROOT / app).rglob("*.py")
        if "sandbox" not in path.parts
        for line in path.read_text().splitlines()
        if "<pre" in line and "tabindex" not in line
    ]

    assert bare == []
