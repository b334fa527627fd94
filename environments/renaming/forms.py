"""What people confirm when they take over a new name."""

from django import forms

from portal.ui.forms import Mark


class RenameForm(forms.Form):
    """The name that the page showed."""

    name = Mark()
