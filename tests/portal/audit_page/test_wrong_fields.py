"""What is wrong with a form stands beside its field, and what was typed is still there."""

from html.parser import HTMLParser

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from portal.ui.form_errors import beside
from tests.factory import make_people, make_project, make_release
from tests.portal.accounts.addresses import every, furnish
from tests.portal.audit_page.test_pages import signed_in

SENTENCE = "Give a reason."


def filled(html, typed=None, name="reason"):
    return beside(html, "/do/", {name: SENTENCE}, typed or {}, "/page/")


def test_the_sentence_stands_behind_the_field_and_the_field_is_marked():
    html = filled('<form action="/do/"><input name="reason"><button>Go</button></form>')

    assert html == (
        '<form action="/do/"><input aria-invalid="true" aria-describedby="wrong-reason"'
        ' name="reason"><span class="wrong" id="wrong-reason">✕ Give a reason.</span>'
        "<button>Go</button></form>"
    )


def test_what_was_typed_is_still_there_and_stays_text():
    typed = {"reason": ['"><b>'], "more": ["</textarea><b>"], "kind": ["two"], "on": ["a"]}

    html = filled(
        '<form action="/do/"><input name="reason" value="old"><textarea name="more">was</textarea>'
        '<select name="kind"><option value="one" selected>1<option value="two">2</select>'
        '<input type="checkbox" name="on" value="a"><input type="checkbox" name="on" value="b">'
        "</form>",
        typed,
    )

    assert 'value="&quot;&gt;&lt;b&gt;"' in html and "<b>" not in html
    assert '<textarea name="more">\n&lt;/textarea&gt;&lt;b&gt;</textarea>' in html
    assert '<option value="one">1<option value="two" selected>2' in html
    assert html.count(" checked") == 1


def test_what_hides_the_field_is_opened():
    html = filled(
        '<details class="ask"><summary>Ask</summary><form action="/do/"><input name="reason">'
        "</form></details><details><summary>Other</summary></details>"
    )

    assert html.startswith('<details open class="ask">') and html.count(" open") == 1


def test_of_forms_to_one_address_the_one_that_was_sent_is_marked():
    one = '<form action="/do/"><input type="hidden" name="key" value="%s"><input name="reason">'
    one += "</form>"

    html = filled(one % 1 + one % 2, {"key": ["2"], "reason": [""]})

    assert html.index("aria-invalid") > html.index('value="2"')


def test_a_field_outside_its_form_and_a_button_with_an_address_of_its_own_are_found():
    html = filled(
        '<form id="f" action="/other/"><button formaction="/do/">Go</button></form>'
        '<input name="reason" form="f">'
    )

    assert "wrong-reason" in html


@pytest.mark.django_db
def test_a_refused_form_is_shown_once_with_what_was_typed():
    people, project = make_people(), make_project()
    release = make_release(project)
    client = signed_in(people["alice"])
    address = reverse("releases:release-do", args=[release.pk, "notes"])

    shown = client.post(address, {"notes": "x" * 20_001}, follow=True).content.decode()
    again = client.get(reverse("releases:release", args=[release.pk])).content.decode()

    assert 'id="wrong-notes"' in shown and "x" * 20_001 in shown
    assert "wrong-notes" not in again and "x" * 20_001 not in again


class _Forms(HTMLParser):
    """The forms of a page: address, and each field's type and value by its name."""

    def __init__(self, html):
        super().__init__()
        self.forms, self.ids, self.inside, self.outside = [], {}, None, []
        self.feed(html)
        for key, name, kind in self.outside:
            self.ids[key][1].setdefault(name, kind)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "form":
            self.inside = given, {}
            self.forms.append(self.inside)
            self.ids[given.get("id")] = self.inside
        elif tag in ("input", "textarea", "select") and given.get("name"):
            kind = given.get("type", "text") if tag == "input" else tag
            known = kind, given.get("value") or ""
            if given.get("form"):
                self.outside.append((given["form"], given["name"], known))
            elif self.inside:
                self.inside[1].setdefault(given["name"], known)

    def handle_endtag(self, tag):
        if tag == "form":
            self.inside = None


@pytest.mark.django_db
def test_beside_every_field_of_every_form_stands_what_is_wrong_with_it(settings):
    """Each text field of each form of each page is sent with a character that none may hold."""
    settings.SANDBOX = True
    furnish()
    user = User.objects.create(username="tester", is_staff=True, is_superuser=True)
    client, tried, silent = signed_in(user), set(), []
    for name, _pattern, path in every():
        if path.startswith("/admin") or name in ("setup", "invited"):
            continue
        page = client.get(path)
        if page.status_code != 200 or page.streaming or "html" not in page["Content-Type"]:
            continue
        for form, fields in _Forms(page.content.decode()).forms:
            texts = [one for one, (kind, _) in fields.items() if kind in ("text", "textarea")]
            action = form.get("action") or path
            if form.get("method") != "post" or not texts or action in tried:
                continue
            tried.add(action)
            sent = {one: value for one, (_, value) in fields.items()} | dict.fromkeys(texts, "\0")
            silent += _silent(client, path, action, sent, texts)

    assert not silent, "\n".join(map(str, silent))
    assert len(tried) >= 16


def _silent(client: Client, path, action, sent, texts):
    answer = client.post(action, sent, follow=True, headers={"Referer": f"http://testserver{path}"})
    html = answer.content.decode()
    if 'class="wrong"' in html or "errorlist" in html or 'class="notice fail"' in html:
        return []
    said = html[html.find('class="messages"') :][:400] if 'class="messages"' in html else html[:80]
    return [(path, action, texts, answer.status_code, said)]
