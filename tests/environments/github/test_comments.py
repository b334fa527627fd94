"""Words from outside in a comment: nobody is mentioned, nothing is linked, no Markdown of theirs
is read.
"""

import re

import pytest

from environments.github.comments import code, plain, prose


@pytest.mark.parametrize(
    "hostile",
    [
        "@everyone look",
        "&#64;everyone",
        "[here](https://evil.example)",
        "<https://evil.example>",
        "https://evil.example",
        "www.evil.example",
        "#12",
        "GH-12",
        "acme/inspector#12",
        "![x](//evil.example/x.png)",
        "<img src=x>",
        "# title",
        "| a | b |",
        "~~gone~~",
        "`code`",
        "**bold**",
        "\\@everyone",
        "$math$",
        "a\n\n# b",
        "<!-- hidden -->",
    ],
)
def test_what_an_author_chose_stays_plain_text(hostile):
    message = plain(hostile)

    assert not re.search(r"(?<!\\)[`*_\[\]()<>|#!~&$]", message)  # each is escaped
    assert not re.search(
        r"@\w|#\d|://|www\.|GH-\d", message
    )  # and what GitHub links by itself is broken up
    assert "\n" not in message
    assert message.replace("\\", "").replace("\u200b", "") == " ".join(hostile.split()).replace(
        "\\", ""
    )


@pytest.mark.parametrize("name", ["a.py", "`a`", "a``b", "x`", "@everyone", "a\nb", ""])
def test_a_name_is_code_that_cannot_be_left(name):
    message = code(name)
    fence = re.match("`+", message)[0]

    assert message.endswith(fence) and "\n" not in message
    assert fence not in message[len(fence) : -len(fence)]


def test_what_stands_between_backticks_becomes_code_and_the_rest_plain():
    message = prose('a@b.py has 2 heads; join them with `alembic merge -m "x" a b` @you.')

    assert (
        message == 'a@\u200bb.py has 2 heads; join them with `alembic merge -m "x" a b` @\u200byou.'
    )


def test_everything_is_bounded():
    assert len(plain("a" * 5000, 100)) == 100 and plain("a" * 5000, 100).endswith("…")
    assert len(code("a" * 5000)) < 210 and len(prose("a" * 9000)) <= 1000
