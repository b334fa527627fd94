"""What people read is what is there, on every way out."""

import io
import json
import logging
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from hypothesis import given
from hypothesis import strategies as st

from environments.github.comments import code, plain
from portal import invisible_characters as module
from portal.invisible_characters import (
    LogFormatter,
    VisibleStream,
    only_visible,
    visible,
    visible_line,
)
from portal.outbound.parsing import lines, link, text

ROOT = Path(__file__).resolve().parents[2]
# Unicode: Prepended_Concatenation_Mark is drawn; Default_Ignorable_Code_Point is not, whatever its
# category.
DRAWN = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
IGNORABLE = {
    0x34F,
    0x115F,
    0x1160,
    0x17B4,
    0x17B5,
    *range(0x180B, 0x1810),
    0x2065,
    0x3164,
    *range(0xFE00, 0xFE10),
    0xFFA0,
    *range(0xFFF0, 0xFFF9),
    *range(0xE0000, 0xE1000),
    0x2800,
}
LAYOUT = {0x09, 0x0A}
UNSEEN = sorted(
    (
        {
            n
            for n in range(0x110000)
            if unicodedata.category(chr(n)) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
        }
        | IGNORABLE
    )
    - DRAWN
    - LAYOUT
)
hostile = st.text(
    st.one_of(st.sampled_from([chr(n) for n in UNSEEN]), st.characters(categories=["L", "N", "P"]))
)


def test_the_length_that_is_announced_is_that_of_what_is_sent():
    for body in ({"said": "näher – “so”"}, {"said": "a\u200bb"}):
        response = JsonResponse(body)
        response["Content-Length"] = str(len(response.content))

        answered = only_visible(lambda request, given=response: given)(None)

        assert answered["Content-Length"] == str(len(answered.content))


def test_the_signs_that_count_as_unseen_are_those_of_unicode():
    found = [n for n in range(0x110000) if module._ANY.match(chr(n))]

    assert found == UNSEEN


def test_a_row_of_bytes_is_looked_at_closer_for_each_of_them():
    missed = [
        hex(n)
        for n in UNSEEN
        if not 0xD800 <= n <= 0xDFFF and module._visible_part(chr(n).encode()) == chr(n).encode()
    ]

    assert missed == []


def test_each_of_them_between_letters_is_written_out():
    for number in UNSEEN:
        assert visible(f"ma{chr(number)}in") == f"ma⟨U+{number:04X}⟩in"


@given(hostile)
def test_no_control_is_left_and_a_second_time_changes_nothing(message):
    shown = visible(message)

    left = [sign for sign in shown if module._ANY.match(sign)]
    assert all(
        sign in "\r\u200c\u200d\ufe00\ufe01\ufe02\ufe0e\ufe0f" or ord(sign) > 0xE0000
        for sign in left
    )
    assert not any(
        ord(sign) in range(0x202A, 0x202F) or ord(sign) in range(0x2066, 0x206A) for sign in shown
    )
    assert visible(shown) == shown


@pytest.mark.parametrize(
    "message",
    [
        "Zażółć gęślą jaźń",
        "日本語のコミット",
        "Привет",
        "שלום עולם",
        "مرحبا بالعالم",
        "नमस्ते क्ष",
        "ไทย",
        "한국어",
        "می‌خواهم",  # ZWNJ, as Persian is spelt
        "क्‍ष",  # ZWJ, as Hindi is
        "👨‍👩‍👧‍👦 🏳️‍🌈 👩🏽‍💻 ❤️ ✔️ 1️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
        "e\u0301 a\u0308",
        "葛\U000e0100",
        "a\tb\nc\r\nd",
        "50 % – “quoted” · ⟨x⟩ \u00a0 \u3000",
    ],
)
def test_ordinary_text_of_every_script_stays(message):
    assert visible(message) == message


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("pay\u202exe.gpj", "pay⟨U+202E⟩xe.gpj"),
        ("a\u200db", "a⟨U+200D⟩b"),  # a joiner that joins nothing
        (
            "\U0001f3f4\U000e0068\U000e0069\U000e007f",
            "🏴⟨U+E0068⟩⟨U+E0069⟩⟨U+E007F⟩",
        ),  # a flag of no country: words
        ("x\ufe01", "x⟨U+FE01⟩"),
        ("one\rtwo\u2028three\x0bfour\x85", "one⟨U+000D⟩two⟨U+2028⟩three⟨U+000B⟩four⟨U+0085⟩"),
        ("\x1b[31mred\x1b[0m", "⟨U+001B⟩[31mred⟨U+001B⟩[0m"),
    ],
)
def test_what_deceives_is_written_out(message, shown):
    assert visible(message) == shown


def test_in_a_text_of_one_line_the_break_is_written_out_too():
    assert visible_line("a.py\nb.py\r\n\t") == "a.py⟨U+000A⟩b.py⟨U+000D⟩⟨U+000A⟩⟨U+0009⟩"


def answered(response):
    return only_visible(lambda request: response)(None)


def test_an_answer_leaves_with_what_it_held_to_be_seen_and_its_length_right():
    response = HttpResponse("<p>ma\u202ein</p>")
    response["Content-Length"] = str(len(response.content))

    sent = answered(response)

    assert sent.content.decode() == "<p>ma⟨U+202E⟩in</p>"
    assert int(sent["Content-Length"]) == len(sent.content)


@pytest.mark.parametrize(
    "kind", ["text/html; charset=utf-8", "text/plain", "text/markdown", "application/json"]
)
def test_every_kind_of_text_is_looked_through(kind):
    assert "⟨U+2066⟩" in answered(HttpResponse("\u2066", content_type=kind)).content.decode()


def test_json_that_spells_a_sign_with_letters_shows_it_too():
    body = {"checks": [{"name\u200b": "ma\u202ein", "count": 3, "plain": "grün 😀"}]}

    answer = only_visible(lambda request: JsonResponse(body))(None)

    shown = json.loads(answer.content)["checks"][0]
    assert shown == {"name⟨U+200B⟩": "ma⟨U+202E⟩in", "count": 3, "plain": "grün 😀"}


def test_files_that_are_no_text_go_out_as_they_are(tmp_path):
    picture = HttpResponse(b"\x00\x01", content_type="image/png")
    streamed = FileResponse(io.BytesIO(b"\x00"), content_type="text/plain")

    assert answered(picture).content == b"\x00\x01"
    assert answered(streamed) is streamed


def test_a_download_that_is_made_line_by_line_is_looked_through_too():
    lines = (line for line in ["a,b\r\n", "ma\u202ein,\x1b[2J\r\n"])

    sent = answered(StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8"))

    assert sent.getvalue().decode() == "a,b\r\nma⟨U+202E⟩in,⟨U+001B⟩[2J\r\n"


def test_what_is_read_from_others_keeps_what_deceives_as_a_mark():
    assert text("ma\u200bin\n\u202ename", 40) == "ma⟨U+200B⟩in ⟨U+202E⟩name"
    assert lines("one\n\x00two") == "one\n⟨U+0000⟩two"
    assert link("https://example.com/\u202e") == ""


def test_words_of_others_in_a_comment_are_shown_as_they_are():
    assert "⟨U+202E⟩" in plain("x\u202ey") and "⟨U+200B⟩" in code("a\u200bb")
    assert plain("👨‍👩‍👧") == "👨‍👩‍👧"


def test_a_terminal_gets_no_escape_sequence():
    out = io.StringIO()

    print("\x1b]0;title\x07 done", file=VisibleStream(out))

    assert out.getvalue() == "⟨U+001B⟩]0;title⟨U+0007⟩ done\n"


def test_every_command_prints_through_it(tmp_path):
    environment = {
        "PATH": os.environ["PATH"],
        "PORTAL_ENV_FILE": os.devnull,
        "PORTAL_VAR_DIR": str(tmp_path),
    }

    done = subprocess.run(
        [sys.executable, "manage.py", "makemigrations", "no\x1b[31mapp\u202e"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )

    message = done.stdout + done.stderr
    assert "no⟨U+001B⟩[31mapp⟨U+202E⟩" in message and "\x1b" not in message


def logged(message, *values, exc_info=None):
    record = logging.LogRecord("portal", logging.WARNING, "f", 1, message, values, exc_info)
    return LogFormatter("{levelname}: {message}", style="{").format(record)


def test_a_log_line_is_one_line_whatever_it_quotes():
    assert (
        logged("title %s", "x\nERROR: forged\u202e")
        == "WARNING: title x⟨U+000A⟩ERROR: forged⟨U+202E⟩"
    )


def test_the_secret_of_an_address_is_in_no_log():
    try:
        raise ValueError("GET /webhooks/railway/s3cret/ failed\x1b")
    except ValueError:
        message = logged("Not Found: %s", "/webhooks/railway/s3cret/", exc_info=sys.exc_info())

    assert "s3cret" not in message and "\x1b" not in message and "ValueError" in message
