"""What people send to reset staging."""

from django import forms

from portal.ui.forms import Mark, Text


class HeadsForm(forms.Form):
    """The heads of both branches, as the page showed them."""

    staging = Mark()
    main = Mark()


class ResetForm(HeadsForm):
    """Why staging is reset to main."""

    reason = Text(missing="Give a reason for the reset.")
