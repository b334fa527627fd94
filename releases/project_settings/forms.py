"""What people send from the board about a project."""

from django import forms

from portal.ui.forms import Text


class SmokeTestForm(forms.Form):
    """The service and the path that a new smoke test asks. The model judges both."""

    service = Text(200)
    path = Text(200)
