"""What people send about a service."""

from django import forms

ANSWERS = {"yes": True, "no": False, "": None}


class PlaceForm(forms.Form):
    """Whether the service is part of the release; empty: as where it is built from says."""

    belongs = forms.TypedChoiceField(
        choices=[(name, name) for name in ANSWERS],
        coerce=ANSWERS.get,
        empty_value=None,
        required=False,
        error_messages={"invalid_choice": "Choose one of the answers on the page."},
    )
