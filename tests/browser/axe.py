"""What axe-core finds on a page that keeps somebody from using it."""

from pathlib import Path

from tests.browser.looks import PHONE, WIDE

_SOURCE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
_RUN = """() => axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
  violations.filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, impact, nodes }) => ({ id, impact, count: nodes.length,
      first: nodes[0].target.join(" "), why: nodes[0].failureSummary.split("\\n")[1].trim() })))"""
WAYS = tuple((size, scheme) for size in ("wide", "phone") for scheme in ("light", "dark"))


def violations(page, path: str, ways=WAYS, press: str = "") -> dict[tuple[str, str], list[dict]]:
    """Return what is serious or critical on the page at `path`, for each way to look at it; with
    `press`, after that key was pressed there.
    """
    page.goto(path)
    if press:
        page.keyboard.press(press)
    page.evaluate(_SOURCE)  # by the debugger, past the content policy
    found = {}
    for size, scheme in ways:
        page.set_viewport_size(WIDE if size == "wide" else PHONE)
        page.emulate_media(color_scheme=scheme)
        page.evaluate("() => document.getAnimations().forEach((one) => one.finish())")
        found[size, scheme] = page.evaluate(_RUN)
    return found


def sentences(path: str, found: dict[tuple[str, str], list[dict]]) -> list[str]:
    """Return one line for each violation."""
    return [
        f"{path} {size} {scheme}: {one['id']} × {one['count']}, {one['first']}: {one['why']}"
        for (size, scheme), several in found.items()
        for one in several
    ]
