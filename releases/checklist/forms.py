"""What people send with a tick."""

from django import forms

from portal.ui.forms import SeenCandidate, Text
from releases.checklist.actions import NONE_SELECTED
from releases.models.checklist import ChecklistItem


class TickForm(SeenCandidate):
    """An optional note.

    Its name ends in the item's number (`prefix`): each page has a form for every item.
    """

    note = Text()

    def add_prefix(self, field_name: str) -> str:
        """Return the field's name on the page."""
        return f"note-{self.prefix}" if field_name == "note" else field_name


class TickSeveralForm(SeenCandidate):
    """Manual items that are ticked together, and one note for all of them."""

    items = forms.ModelMultipleChoiceField(
        ChecklistItem.objects.filter(gate=""),
        error_messages={
            "required": NONE_SELECTED,
            "invalid_choice": "One of these items cannot be ticked: reload the page.",
            "invalid_pk_value": "One of these items does not exist: reload the page.",
        },
    )
    note = Text()
