"""What people choose on the page Connections."""

from django import forms


class Fingerprints(forms.MultipleChoiceField):
    """Fingerprints of host keys. The action knows which of them the last check saw."""

    def valid_value(self, value: str) -> bool:
        return len(value) <= 100 and "\x00" not in value


class HostKeysForm(forms.Form):
    """The host keys that a person compared."""

    fingerprint = Fingerprints(
        required=False,
        error_messages={
            "invalid_choice": "Choose among the host keys on the page; nothing was pinned."
        },
    )
