"""How tests read a page: so that no assertion depends on the indentation of a template."""

import re
from typing import Any


def squeezed(response: Any) -> str:
    """Return the body of `response` without the line breaks beside tags and with a space for all
    others; without the links of commits and pull requests in the middle of a sentence.
    """
    html = re.sub(r"(?<=>)\s*\n\s*|\s*\n\s*(?=<)", "", response.content.decode())
    return re.sub(r"\s*\n\s*", " ", whole_sentences(html))


def whole_sentences(html: str) -> str:
    """Return `html` without the links of commits and pull requests in the middle of a sentence."""
    return re.sub(r'<a class="thing"[^>]*>([^<]*)</a>', r"\1", html)
