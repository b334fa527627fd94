"""What people send to close a finding."""

from django import forms

from portal.ui.forms import Text


class ResolveForm(forms.Form):
    """Why a finding can be closed."""

    reason = Text(missing="Give a reason for resolving this finding.")
