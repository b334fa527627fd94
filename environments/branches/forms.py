"""What people send about the long-lived branches: resets, protections, and what is required."""

from django import forms

from portal.ui.forms import ConfirmedForm, Mark, Text


class HeadsForm(forms.Form):
    """The heads of both branches, as the page showed them."""

    staging = Mark()
    main = Mark()


class ResetForm(HeadsForm):
    """Why staging is reset to main."""

    reason = Text(missing="Give a reason for the reset.")


class ProtectForm(ConfirmedForm):
    """The branch, and what stands for the changes that the page showed."""

    seen = Mark()


class Checks(forms.MultipleChoiceField):
    """Names of checks. One that never ran is refused by the action."""

    def valid_value(self, value: str) -> bool:
        return bool(Text(200, label="A check").clean(value))


class RequiredForm(forms.Form):
    """What both long-lived branches are to require, and the App that may fast-forward staging."""

    checks = Checks(required=False)
    approvals = forms.IntegerField(
        min_value=0,
        max_value=6,
        error_messages=dict.fromkeys(
            ("required", "invalid", "min_value", "max_value"),
            "Write how many approvals a pull request needs: a number from 0 to 6.",
        ),
    )
    portal_app = Text(100, label="The portal's App")
