"""What people send with a tick."""

from portal.ui.forms import SeenCandidate, Text


class TickForm(SeenCandidate):
    """An optional note.

    Its name ends in the item's number (`prefix`): each page has a form for every item.
    """

    note = Text()

    def add_prefix(self, field_name: str) -> str:
        """Return the field's name on the page."""
        return f"note-{self.prefix}" if field_name == "note" else field_name
