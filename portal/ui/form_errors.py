"""What is wrong with a form stands beside its field, on the page to which the person comes back,
and what they typed is still there: kept in the session for one page.
"""

from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser
from urllib.parse import urlsplit, urlunsplit

from django.forms import BaseForm
from django.http import HttpRequest
from django.http.response import HttpResponseBase

KEY, MOST_LETTERS = "wrong_fields", 200_000
FIELDS = ("input", "select", "textarea")
NOT_TYPED = ("hidden", "password", "file", "submit", "button")

type Attributes = dict[str, str]


def keep(request: HttpRequest, form: BaseForm) -> None:
    """Keep what is wrong with the fields of `form`, which was sent by `request`, and what was
    typed; of a form with secrets only what is wrong.
    """
    secret = getattr(request, "sensitive_post_parameters", None)
    typed = {} if secret else dict(request.POST.lists())
    if sum(len(value) for values in typed.values() for value in values) > MOST_LETTERS:
        typed = {}
    wrong = {
        form.add_prefix(name): " ".join(map(str, errors)) for name, errors in form.errors.items()
    }
    request.session[KEY] = {"path": request.path, "wrong": wrong, "typed": typed}


def page_of(request: HttpRequest) -> str:
    """Return the address of the portal's page from which `request` was sent; "" if not told."""
    referer = urlsplit(request.headers.get("Referer", ""))
    if referer.netloc != request.get_host() or not referer.path.startswith("/"):
        return ""
    return urlunsplit(("", "", "/" + referer.path.lstrip("/"), referer.query, ""))


def shown(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Return the page with what was kept beside its fields; once."""
    if request.method != "GET" or request.headers.get("HX-Request") or KEY not in request.session:
        return response
    if response.status_code != 200 or response.streaming:
        return response
    kept = request.session.pop(KEY)
    html = response.content.decode()  # type: ignore[attr-defined]
    response.content = beside(  # type: ignore[attr-defined]
        html, kept["path"], kept["wrong"], kept["typed"], request.path
    ).encode()
    return response


def beside(
    html: str, path: str, wrong: dict[str, str], typed: dict[str, list[str]], page: str
) -> str:
    """Return `html` with each sentence of `wrong` (field: sentence) after its field, in the form
    that is sent to `path`, the field marked, what folds it open, and the form filled with `typed`.
    """
    parsed = _Fields(html, page)
    form = parsed.form(path, wrong, typed)
    if form is None:
        return html
    changes: list[tuple[int, int, str]] = []  # from, to, what comes there
    told_names: set[str] = set()
    for form_field in form.fields:
        sentence = wrong.get(form_field.name, "")
        changes += form_field.filled(
            typed.get(form_field.name), "" if form_field.name in told_names else sentence
        )
        if sentence:
            told_names.add(form_field.name)
            changes += [(at, at, " open") for at in form_field.folded]
    for start, end, text in sorted(set(changes), reverse=True):
        html = html[:start] + text + html[end:]
    return html


@dataclass
class _Field:
    """One control. Places are offsets in the page: after its tag's name, after its tag, after its
    end; where a sentence about it goes; and the tags to be opened so that it is seen.
    """

    tag: str
    name: str
    attributes: Attributes
    named: int
    opened: int
    closed: int
    said: int
    folded: tuple[int, ...]
    options: list[tuple[int, int, Attributes]] = field(default_factory=list)

    def filled(self, typed: list[str] | None, sentence: str) -> list[tuple[int, int, str]]:
        """Return the changes that fill it with what was typed and say what is wrong."""
        kind = self.attributes.get("type", "text")
        changes, extra = [], ""
        if self.tag == "input" and kind in ("checkbox", "radio"):
            if typed and self.attributes.get("value", "on") in typed:
                extra += " checked"
        elif typed and self.tag == "input" and kind not in NOT_TYPED:
            extra += f' value="{escape(typed[0])}"'  # the first of two counts
        elif typed and self.tag == "textarea":
            text = "\n" + escape(typed[0])
            changes.append((self.opened, self.closed - len("</textarea>"), text))
        elif typed and self.tag == "select":
            for start, end, attributes in self.options:
                chosen = " selected" if attributes.get("value") in typed else ""
                value = escape(attributes.get("value", ""))
                changes.append((start, end, f'<option value="{value}"{chosen}>'))
        if sentence and kind != "hidden":
            key = f"wrong-{escape(self.name)}"
            extra += f' aria-invalid="true" aria-describedby="{key}"'
            mark = f'<span class="wrong" id="{key}">✕ {escape(sentence)}</span>'
            changes.append((self.said, self.said, mark))
        return [*changes, (self.named, self.named, extra)] if extra else changes


@dataclass
class _Form:
    paths: set[str]
    fields: list[_Field] = field(default_factory=list)


class _Fields(HTMLParser):
    """The forms of a page and the places of their fields."""

    def __init__(self, html: str, page: str) -> None:
        super().__init__()
        self.page, self.forms, self.by_id = page, [], {}  # type: ignore[var-annotated]
        self.elsewhere: list[tuple[str, _Field]] = []  # of the form with this id
        self.inside: list[tuple[str, int]] = []  # details, dialog and label, where they begin
        self.current: _Form | None = None
        self.last: _Field | None = None
        self.lines = [0]
        for line in html.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))
        self.feed(html)
        for key, outside in self.elsewhere:
            if key in self.by_id:
                self.by_id[key].fields.append(outside)

    def form(self, path: str, wrong: object, typed: dict[str, list[str]]) -> _Form | None:
        """Return the form that was sent: to this path, with the same hidden values."""
        fits = [
            candidate
            for candidate in self.forms
            if path in candidate.paths and _has(candidate, wrong)
        ]
        return next((form for form in fits if _sent(form, typed)), fits[0] if fits else None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        line, column = self.getpos()
        start = self.lines[line - 1] + column
        end = start + len(self.get_starttag_text() or "")
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.current = _Form({urlsplit(given.get("action", "")).path or self.page})
            self.forms.append(self.current)
            self.by_id[given.get("id", "")] = self.current
        elif tag in ("details", "dialog", "label"):
            self.inside.append((tag, start))
        elif tag == "button" and self.current and given.get("formaction"):
            self.current.paths.add(urlsplit(given["formaction"]).path)
        elif tag == "option" and self.last:
            self.last.options.append((start, end, given))
        elif tag in FIELDS and given.get("name"):
            self._field(tag, given, start, end)

    def _field(self, tag: str, given: Attributes, start: int, end: int) -> None:
        label = next((at for kind, at in reversed(self.inside) if kind == "label"), start)
        ticked = given.get("type") in ("checkbox", "radio")
        named = start + 1 + len(tag)
        folded = tuple(at + 1 + len(kind) for kind, at in self.inside if kind != "label")
        field = _Field(tag, given["name"], given, named, end, end, label if ticked else end, folded)
        self.last = field
        if given.get("form"):
            self.elsewhere.append((given["form"], field))
        elif self.current:
            self.current.fields.append(field)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.current = None
        elif tag in ("details", "dialog", "label"):
            kinds = [kind for kind, _at in self.inside]
            if tag in kinds:
                del self.inside[len(kinds) - 1 - kinds[::-1].index(tag) :]
        elif self.last and tag == self.last.tag:
            line, column = self.getpos()
            self.last.closed = self.lines[line - 1] + column + len(f"</{tag}>")
            self.last.said = self.last.closed
            self.last = None


def _has(form: _Form, wrong: object) -> bool:
    return any(field.name in wrong for field in form.fields)  # type: ignore[operator]


def _sent(form: _Form, typed: dict[str, list[str]]) -> bool:
    hidden = (field for field in form.fields if field.attributes.get("type") == "hidden")
    return all(
        field.attributes.get("value", "") in typed[field.name]
        for field in hidden
        if field.name in typed and field.name != "csrfmiddlewaretoken"
    )
