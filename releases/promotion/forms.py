"""What people send about a step that stopped."""

from django import forms

from portal.ui.forms import Text


class SkipStepForm(forms.Form):
    """Why a step can be skipped; rollbacks use it as well."""

    reason = Text(missing="Give a reason for skipping this step.")


class AbandonPromotionForm(forms.Form):
    """Why a promotion is abandoned."""

    reason = Text(missing="Give a reason for canceling the promotion.")
