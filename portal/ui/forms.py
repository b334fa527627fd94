"""Fields that the portal's forms share, and the one sentence a person gets when a form does not
hold.
"""

from typing import Any

from django import forms

LONGEST = 2000  # characters of a reason, a comment or a note


class Text(forms.CharField):
    """What a person types, of at most `longest` characters.

    It may be empty unless `missing` says what to do then.
    """

    def __init__(
        self, longest: int = LONGEST, *, missing: str = "", strip: bool = True, **options: Any
    ) -> None:
        super().__init__(max_length=longest, required=bool(missing), strip=strip, **options)
        self.longest = longest
        self.error_messages["required"] = missing

    def clean(self, value: object) -> str:
        """Return the text; raise `ValidationError` with a sentence that names what to change."""
        text, name = self.to_python(value) or "", f"“{self.label}”" if self.label else "The text"
        if "\x00" in text:
            raise forms.ValidationError(
                f"{name} holds a NUL character: remove it and send the form again."
            )
        if len(text) > self.longest:
            message = f"{name} has {len(text):,} characters; shorten it to {self.longest:,}"
            raise forms.ValidationError(f"{message}, nothing was saved.")
        return super().clean(value)


class Lines(forms.CharField):
    """A list of names, typed one a line."""

    widget = forms.Textarea

    def prepare_value(self, value: object) -> object:
        """Return the lines as text; what a person typed stays as it is."""
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def clean(self, value: str) -> list[str]:
        """Return the names in the order given, without empty lines and repetitions."""
        text = super().clean(value)
        return list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


class Mark(Text):
    """What the page sends along and nobody types: a commit or a digest.

    The action judges a missing one.
    """

    def __init__(self) -> None:
        super().__init__(200)


class ConfirmedForm(forms.Form):
    """What the page showed and the person confirmed: a branch, a commit or a name."""

    value = Mark()


class SeenCandidate(forms.Form):
    """The candidate on the page from which the person acts."""

    candidate = Mark()


def sentence(form: forms.BaseForm) -> str:
    """Return what is wrong with `form` in one line; "" when nothing is."""
    return " ".join(str(error) for errors in form.errors.values() for error in errors)
