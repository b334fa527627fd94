"""Whether a page can be read: in both colour schemes, and on a phone."""

import os

WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}

# What reaches beyond the right edge, without what scrolls inside its own card.
BEYOND = """() => [...document.querySelectorAll('body *')]
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll, pre'))
  .map(e => `${e.tagName}.${e.className}#${e.id}`).slice(0, 8)"""

CONTRAST = """() => {
  document.getAnimations().forEach(one => one.finish());  // colours that are still on their way
  const lum = ([r, g, b]) => [r, g, b]
    .map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const known = new Map();
  const rgba = (colour) => { if (!known.has(colour)) {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    known.set(colour, [...canvas.getImageData(0, 0, 1, 1).data]); } return known.get(colour); };
  const behind = (element) => { for (; element; element = element.parentElement) {
    const colour = rgba(getComputedStyle(element).backgroundColor);
    if (colour[3] === 255) return colour; } return [255, 255, 255]; };
  const bad = [];
  for (const element of document.querySelectorAll('body *')) {
    const words = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!words || !element.checkVisibility()) continue;
    if (element.closest('[disabled], .unseen, .skip')) continue;
    const a = lum(rgba(getComputedStyle(element).color)), b = lum(behind(element));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    const start = element.textContent.trim().slice(0, 30);
    const name = `${element.className || element.tagName} “${start}”`;
    if (ratio < 4.5) bad.push(`${name} ${ratio.toFixed(2)}`);
  }
  return bad;
}"""


def unreadable(page, *paths: str) -> list[str]:
    """What is hard to read on these pages, opened in turn in `page`: text of too little contrast in
    the light or the dark scheme, wide or on a phone, and what makes a phone scroll sideways.
    PICTURES_TO=folder keeps pictures of all.
    """
    found = []
    for path in paths:
        page.set_viewport_size(WIDE)
        page.goto(path)
        for width, size in (("wide", WIDE), ("phone", PHONE)):
            page.set_viewport_size(size)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                found += [f"{path} {width} {scheme}: {one}" for one in page.evaluate(CONTRAST)]
                _keep(page, path, f"{width}-{scheme}")
            if page.evaluate("document.documentElement.scrollWidth") > size["width"]:
                found.append(f"{path} is wider than {size['width']}: {page.evaluate(BEYOND)}")
    return found


def _keep(page, path: str, name: str) -> None:
    """The picture of a page, for whoever wants to look at it."""
    if folder := os.environ.get("PICTURES_TO"):
        known = path.strip("/").replace("/", "-").partition("?")[0] or "board"
        page.screenshot(path=f"{folder}/{known}-{name}.png", full_page=True)
