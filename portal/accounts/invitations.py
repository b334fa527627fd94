"""A new person with a role, by one form; and the link by which an invited one sets a password:
Django's for a forgotten one, good once, until somebody signs in, for PASSWORD_RESET_TIMEOUT.
"""

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AdminUserCreationForm, SetPasswordForm
from django.contrib.auth.models import Group, User
from django.contrib.auth.tokens import default_token_generator
from django.contrib.auth.views import PasswordResetConfirmView
from django.db import transaction
from django.http import HttpResponse
from django.urls import reverse, reverse_lazy
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from portal import audit


class PersonForm(AdminUserCreationForm):
    """User name, role, and a password; without one the person is invited to set it."""

    email = forms.EmailField(required=False)
    groups = forms.ModelMultipleChoiceField(
        queryset=Group.objects.order_by("name"),
        label="Role",
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one role: without one a person sees nothing."},
    )
    usable_password = forms.ChoiceField(
        label="How they sign in first",
        initial="true",
        choices=[("true", "with a password you set here"), ("false", "by an invitation link")],
        widget=forms.RadioSelect,
    )

    class Meta(AdminUserCreationForm.Meta):
        fields = ("username", "email", "groups")

    def save(self, commit: bool = True) -> User:
        """Return the new account, which may use the portal as soon as it has a role."""
        self.instance.is_staff = True
        person: User = super().save(commit=commit)
        return person


def link_of(person: User) -> str:
    """Return the address at which an invited person sets a password, once."""
    key = urlsafe_base64_encode(force_bytes(person.pk))
    token = default_token_generator.make_token(person)
    path = reverse("portal:invited", args=[key, token])
    return f"{settings.PORTAL_URL.rstrip('/')}{path}"


class Invited(PasswordResetConfirmView):
    """The page at that address."""

    template_name = "portal/accounts/invited.html"
    success_url = reverse_lazy("admin:login")
    post_reset_login = False

    def form_valid(self, form: SetPasswordForm[User]) -> HttpResponse:
        """Set the password, with its event."""
        with transaction.atomic():
            person = self.user
            message = f"{audit.actor_name(person)} set the first password by an invitation."
            answer = super().form_valid(form)
            audit.record("person.invited_in", actor=person, subject=person, sentence=message)
            return answer


invited = Invited.as_view()
