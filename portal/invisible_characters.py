"""Makes invisible characters visible: each is written as `⟨U+202E⟩`.

`visible` is the one function; it stands at every way out, so that no page, tag or sentence can
forget it:
`only_visible` for what the web server answers, `VisibleStream` for terminals, `LogFormatter` for
logs, and `portal.outbound.parsing` for what is read from others and written to GitHub again.
"""

import json
import logging
import re
from collections.abc import Callable
from typing import Any, TextIO

from portal.redaction import in_texts, without_secrets

# Unicode's Default_Ignorable_Code_Point, Cc, Cf, Cs, Zl and Zp, with the blank Braille pattern;
# without what can be seen (Prepended_Concatenation_Mark), tab and line feed, which lay text out.
# tests/portal/test_invisible_characters.py holds these ranges against Python's Unicode database.
_UNSEEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)

# Letters of scripts that join and stack: between two of them ZWJ and ZWNJ are spelling.
_JOINING = (
    "\u0620-\u074f\u0750-\u077f\u0860-\u08ff\u0900-\u0dff"
    "\u0f00-\u109f\u1780-\u18af\u1900-\u1cff\ua840-\uabff"
)
_PICTURE = (
    "\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u27bf\u2934-\u2b55\u3030\u303d\u3297\u3299"
    "\U0001f000-\U0001faff"
)
_TONE = "\U0001f3fb-\U0001f3ff"
_IDEOGRAPH = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_FLAGS = "|".join(
    "".join(chr(0xE0000 + ord(letter)) for letter in name) for name in ("gbeng", "gbsct", "gbwls")
)
_READABLE = (
    # a family, a profession
    f"[{_PICTURE}][{_TONE}]?\ufe0f?(?:\u200d[{_PICTURE}][{_TONE}]?\ufe0f?)+"
    f"|[{_PICTURE}][\ufe0e\ufe0f]"
    "|[#*0-9]\ufe0f\u20e3"  # a keycap
    f"|\U0001f3f4(?:{_FLAGS})\U000e007f"  # England, Scotland, Wales
    # a variant of a character, as its writer spells it
    f"|[{_IDEOGRAPH}][\ufe00-\ufe02\U000e0100-\U000e01ef]"
    f"|(?<=[{_JOINING}])[\u200c\u200d](?=[{_JOINING}])"
    f"|(?<=[\u1820-\u18aa])[\u180b-\u180d\u180f]"
    "|\r\n"
)
_ANY = re.compile(f"[{_UNSEEN}]")
_FIND = re.compile(f"(?P<readable>{_READABLE})|[{_UNSEEN}]")


def visible(text: str) -> str:
    """Return `text` with each sign that cannot be seen written as `⟨U+202E⟩`.

    Kept are tabs, line feeds, emoji with their joiners, combining marks, and joiners where a script
    is spelt with them. Doing it twice changes nothing.
    """
    if _ANY.search(text) is None:  # almost always, and much quicker than to look for what may stay
        return text
    return _FIND.sub(_marked, text)


def _marked(match: re.Match[str]) -> str:
    return match[0] if match["readable"] else f"⟨U+{ord(match[0]):04X}⟩"


def visible_line(text: str) -> str:
    """Do the same as `visible`, for one line: a line feed or tab in it is marked too."""
    return re.sub("[\t\n\r]", lambda match: f"⟨U+{ord(match[0]):04X}⟩", visible(text))


def only_visible(get_response: Callable[[object], Any]) -> Callable[[object], object]:
    """Middleware: no page, fragment or download leaves with a sign that cannot be seen."""

    def handle(request: object) -> object:
        response = get_response(request)
        kind = response.get("Content-Type", "").partition(";")[0].strip()
        if not (kind.startswith("text/") or kind in ("application/json", "application/jsonl")):
            return response
        if response.streaming:
            # Files of our own (FileResponse) stay as they are; they may be compressed as well.
            if not response.is_async and not hasattr(response, "file_to_stream"):
                response.streaming_content = map(_visible_part, response.streaming_content)
            return response
        if kind == "application/json" and b"\\u" in response.content:  # spelt with letters
            response.content = _spelt_out(response.content)
        response.content = visible(response.content.decode(response.charset, "surrogateescape"))
        if response.has_header("Content-Length"):
            response["Content-Length"] = str(len(response.content))
        return response

    return handle


def _spelt_out(content: bytes) -> bytes:
    """JSON whose signs stand there as themselves; what is no JSON stays as it is."""
    try:
        return json.dumps(in_texts(json.loads(content), visible), ensure_ascii=False).encode()
    except ValueError:
        return content


def _visible_part(part: bytes) -> bytes:
    """Return a part of a download, which ends between two signs, as a line does."""
    return visible(part.decode("utf-8", "surrogateescape")).encode("utf-8", "replace")


class VisibleStream:
    """A terminal that shows what is written to it without anything that cannot be seen."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(visible(text))
        return len(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


class LogFormatter(logging.Formatter):
    """One line for what is logged, whatever it quotes, with no secret; then its traceback."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = visible_line(without_secrets(record.message))
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        return visible(without_secrets(super().formatException(ei)))
