"""A page as a person reads it: its lines, each with the mark beside it and where it stands."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from tests.reading import whole_sentences

VOID = frozenset({"input", "br", "hr", "img", "link", "meta", "source", "wbr"})
BLOCKS = frozenset(
    {"p", "li", "td", "th", "h1", "h2", "h3", "dt", "dd", "div", "section", "header", "footer"}
    | {"form", "details", "summary", "ul", "ol", "dl", "table", "thead", "tbody", "tr", "main"}
    | {"nav", "label", "pre", "button", "strong", "small", "a"}
)
LEAVES = BLOCKS - {"a", "small"}
STATES = ("pass", "fail", "wait", "attest", "active", "closed", "skipped")


@dataclass(eq=False)
class Node:
    """One element."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    parent: "Node | None" = None
    children: list["Node | str"] = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        """Its classes."""
        return self.attributes.get("class", "").split()

    @property
    def text(self) -> str:
        """All that stands in it, without what only a screen reader says."""
        parts = [one if isinstance(one, str) else one.text for one in self.children]
        return "" if "unseen" in self.classes else " ".join(" ".join(parts).split())

    @property
    def elements(self) -> list["Node"]:
        """The elements right below it."""
        return [one for one in self.children if isinstance(one, Node)]

    def all(self, tag: str = "", *, css: str = "") -> Iterator["Node"]:
        """Every element below it with that tag and class, in the order of the page."""
        for one in self.elements:
            if tag in ("", one.tag) and (not css or css in one.classes):
                yield one
            yield from one.all(tag, css=css)

    def first(self, tag: str = "", *, css: str = "") -> "Node | None":
        """The first of them."""
        return next(self.all(tag, css=css), None)

    def up(self) -> Iterator["Node"]:
        """What it lies in, from the inside out."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    @property
    def region(self) -> str:
        """The id of the innermost named part of the page that it lies in."""
        return next((one.attributes["id"] for one in self.up() if "id" in one.attributes), "")


@dataclass(frozen=True)
class Line:
    """One sentence or cell; `mark` is the state of the mark beside it, "" where there is none."""

    text: str
    mark: str
    region: str
    node: Node


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = self.at = Node("html")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs}, self.at)
        self.at.children.append(node)
        if tag not in VOID:
            self.at = node

    def handle_endtag(self, tag: str) -> None:
        for one in (self.at, *self.at.up()):
            if one.tag == tag and one.parent is not None:
                self.at = one.parent
                return

    def handle_data(self, data: str) -> None:
        self.at.children.append(data)


def read(html: str) -> Node:
    """The content of a page, without the navigation beside it."""
    reader = _Reader()
    reader.feed(whole_sentences(html))
    reader.close()
    return reader.root.first("main") or reader.root


def lines(page: Node) -> list[Line]:
    """What stands on the page, line by line."""
    return [
        Line(node.text, mark_of(node), node.region, node)
        for node in page.all()
        if node.tag in LEAVES and node.text and not any(_is_block(one) for one in node.elements)
    ]


def _is_block(node: Node) -> bool:
    return node.tag in LEAVES or any(_is_block(one) for one in node.elements)


def mark_of(node: Node) -> str:
    """The state of the mark or pill in the element, else of the nearest mark before it."""
    own = _mark_in(node)
    if own:
        return own
    within = node
    for outer in node.up():
        before = outer.elements[: outer.elements.index(within)]
        marks = [_mark_in(one) for one in before if {"mark", "pill"} & set(one.classes)]
        if found := next(filter(None, reversed(marks)), ""):
            return found
        if outer.tag in ("li", "section", "tr", "td", "main"):
            return ""
        within = outer
    return ""


def _mark_in(node: Node) -> str:
    for one in (node, *node.all("span")):
        if {"mark", "pill"} & set(one.classes):
            return next((state for state in STATES if state in one.classes), "")
    return ""


def shas(node: Node) -> list[str]:
    """The whole commits that the element shows in short form."""
    return [one.attributes.get("title", "") for one in node.all("code", css="sha")]


def first_button(page: Node) -> Node | None:
    """The first thing on the page to press, as far as nothing has been unfolded."""
    for node in page.all():
        pressed = node.tag == "button" or "button" in node.classes
        outer = {one.tag for one in node.up()}
        folded = "dialog" in outer or ("details" in outer and node.tag != "summary")
        able = "disabled" not in node.attributes and "hidden" not in node.attributes
        if pressed and able and not folded and "box" not in node.classes:
            return node
    return None
