"""What people send to create a release, to write its notes and to abandon it."""

from django import forms

from portal.ui.forms import Mark, Text

NOTES = 20_000


class CutForm(forms.Form):
    """The head of staging on the board."""

    seen = Mark()


class HotfixForm(forms.Form):
    """The pull request that becomes a hotfix, and its head on the board."""

    pull = Mark()
    candidate = Mark()


class NotesForm(forms.Form):
    """The release notes, plain text."""

    notes = Text(NOTES, strip=False)


class AbandonForm(forms.Form):
    """Why a release is abandoned."""

    reason = Text(missing="Give a reason for abandoning the release.")
