"""Shipped revision files that the release edits, and which still need a second person's word."""

from collections.abc import Sequence
from typing import Any

from environments.schema.history.changes import put_back
from environments.schema.plan.edits import OTHER
from releases.gates.plan import words_on
from releases.models.releases import Release

ACCEPTED_AS = "danger edited-shipped"  # what an acceptance of such a file names, beside its content


def unaccepted(release: Any) -> Sequence[dict[str, str]]:
    """Return the edits that change what is run and that nobody but the release's maker accepted."""
    changing = [edit for edit in release.edits if edit["kind"] == OTHER]
    if not changing:
        return []
    words = {
        (row["revision"], row["sha256"])
        for row in words_on(release)[0]
        if row["user_id"] != release.cut_by_id and ACCEPTED_AS in row["risks"]
    }
    return [edit for edit in changing if (edit["revision"], edit["sha256"]) not in words]


def sentence_of(release: Release, edits: Sequence[dict[str, str]]) -> str:
    """Return what these edits come to, and both ways on."""
    back = put_back(release.base, [edit["path"] for edit in edits])
    message = " ".join(edit["sentence"] for edit in edits)
    other = "have an approver who did not create the release accept it"
    return f"{message} Restore it with `{back}`, or {other}."
