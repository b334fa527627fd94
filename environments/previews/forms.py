"""What people send about previews."""

from django import forms
from django.core.validators import RegexValidator

from portal.ui.forms import Text

NAME = "Write the variable's name in letters, digits and _, beginning with a letter or _."
VALUE = "Give a value of 1 to 10,000 letters."


class PreviewVariableForm(forms.Form):
    """A value of its own that every preview gets for one variable of a service."""

    service = Text(200)
    name = Text(200, missing=NAME, validators=[RegexValidator(r"^[A-Za-z_][A-Za-z0-9_]*\Z", NAME)])
    value = Text(10_000, missing=VALUE, strip=False)


class TypedNameForm(forms.Form):
    """The name of an environment, typed as a confirmation. The action compares it."""

    typed = Text(200)
