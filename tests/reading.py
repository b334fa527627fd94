"""How tests read a page: as one line, so that no assertion depends on the indentation of a template."""

import re
from typing import Any


def squeezed(response: Any) -> str:
    """Return the body of `response` without white space beside tags and with single spaces elsewhere."""
    return re.sub(r" ?(<[^>]*>) ?", r"\1", re.sub(r"\s+", " ", response.content.decode()))
