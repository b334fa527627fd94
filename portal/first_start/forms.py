"""What the first administrator types."""

from django import forms
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from portal.ui.forms import Text


class FirstAdministratorForm(forms.Form):
    """The printed code, a user name, and a password typed twice."""

    code = Text(100, missing="Enter the code that the server printed.")
    username = Text(150, missing="Choose a user name.")
    password = Text(4096, missing="Choose a password.", strip=False)
    again = Text(4096, missing="Type the password twice.", strip=False)

    def clean_username(self) -> str:
        """Return the name; refuse what Django takes for no user name."""
        name = User.normalize_username(self.cleaned_data["username"])
        for validate in User._meta.get_field("username").validators:
            validate(name)
        return name

    def clean(self) -> dict[str, object]:
        """Hold the password against the rules for all passwords."""
        given = super().clean() or self.cleaned_data
        password = given.get("password")
        if password and given.get("again") and password != given["again"]:
            self.add_error("again", "The two passwords differ.")
        elif password:
            try:
                validate_password(password, User(username=given.get("username", "")))
            except ValidationError as error:
                self.add_error("password", error)
        return given
