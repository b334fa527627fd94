"""What people type on the page *Notifications*."""

from typing import Any

from django import forms

from environments.models import Project
from releases.models import Transport
from releases.notifications.kinds.registry import KINDS


def kind_choices() -> list[tuple[str, str]]:
    """Return names and labels of all kinds."""
    return [(kind.name, kind.label) for kind in KINDS.values()]


class Kinds(forms.MultipleChoiceField):
    """Names of kinds. One that no longer exists is passed over by the action."""

    def valid_value(self, value: str) -> bool:
        return True


class KindsForm(forms.Form):
    """Which kinds a channel is told."""

    kinds = Kinds(
        label="Tell it",
        choices=kind_choices,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one kind of notification."},
    )


class ChannelForm(KindsForm):
    """A new channel. Only who may manage a team's channels is asked whom it is for."""

    name = forms.CharField(label="Name", max_length=100, required=False)
    transport = forms.ChoiceField(label="By", choices=Transport.choices)
    address = forms.CharField(
        label="Address",
        max_length=2000,
        help_text="The webhook's https:// address, or an e-mail address.",
    )
    project = forms.ModelChoiceField(
        Project.objects.all(), label="Project", required=False, empty_label="every project"
    )
    team = forms.BooleanField(label="For the team, not for me alone", required=False)
    field_order = ("name", "transport", "address", "project", "team", "kinds")

    def __init__(self, *args: Any, may_manage: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not may_manage:
            del self.fields["team"]
