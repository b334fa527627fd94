"""What people send to close a finding."""

from collections.abc import Iterable

from django import forms
from django.http import QueryDict

from portal.ui.forms import Text


class ResolveForm(forms.Form):
    """Why a finding can be closed."""

    reason = Text(missing="Give a reason for resolving this finding.")


class ResolveSeveralForm(ResolveForm):
    """Why several findings can be closed, and which."""

    def __init__(self, data: QueryDict, known: Iterable[int]) -> None:
        super().__init__(data)
        self.fields["findings"] = forms.TypedMultipleChoiceField(
            coerce=int,
            choices=[(key, key) for key in known],
            error_messages={
                "required": "Select at least one finding to resolve.",
                "invalid_choice": (
                    "One of these findings is closed already: reload the page and select again."
                ),
            },
        )
