"""What people send to freeze a project."""

from django import forms

from portal.ui.forms import Text


class FreezeForm(forms.Form):
    """Why promotions are frozen."""

    reason = Text(300, missing="Give a reason for the freeze.")
