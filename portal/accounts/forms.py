"""What people type to prove who they are, and to set up how."""

from collections.abc import Collection
from typing import Any

from django import forms

from portal.ui.forms import Text
from portal.ui.recent_sign_in import PASSWORD, SECOND_FACTOR


class ProofForm(forms.Form):
    """The password, the code of the second factor, or both: what is still to be proven
    (`lacks`).
    """

    password = Text(4096, missing="Enter your password.", strip=False)
    code = Text(100, missing="Enter the code of your authenticator app, or a recovery code.")

    def __init__(self, *args: Any, lacks: Collection[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, proof in (("password", PASSWORD), ("code", SECOND_FACTOR)):
            if proof not in lacks:
                del self.fields[name]


class SecondFactorForm(forms.Form):
    """A button of the page Second factor, and the code that confirms a new one."""

    verb = forms.ChoiceField(
        choices=[(name, name) for name in ("begin", "confirm", "codes", "remove")],
        error_messages=dict.fromkeys(("required", "invalid_choice"), "Unknown action."),
    )
    code = Text(100)


class TokenForm(forms.Form):
    """The name of a new access token, or the number of one to remove."""

    name = Text(60, label="Name")
    remove = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)

    def clean(self) -> dict[str, object]:
        """Demand one of the two."""
        given = super().clean() or self.cleaned_data
        if not given.get("name") and not given.get("remove") and not self.errors:
            raise forms.ValidationError("Name the access token.")
        return given
