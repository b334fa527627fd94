"""Deploy keys in the admin; a private key is write-only."""

from contextlib import suppress
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone

from environments.git import host_keys, keys
from environments.git.calls import GitError
from environments.git_mirrors.clone import git_address
from environments.models import DeployKey
from portal.configuration.admin import Asked, TwoPeople
from portal.outbound.parsing import JsonObject
from portal.ui.site import person

KEY_PARTS = ("private_key", "kind", "public_key", "fingerprint")


class SecretArea(forms.Textarea):
    """A secret of several lines: what was typed is not shown again when the form comes back."""

    def get_context(self, name: str, value: object, attrs: Any) -> JsonObject:
        return super().get_context(name, None, attrs)


class DeployKeyForm(forms.ModelForm):
    """The private key is write-only: it is pasted or made here, and never shown."""

    new_key = forms.CharField(
        label="Private key",
        required=False,
        max_length=20_000,
        strip=False,
        widget=SecretArea(
            attrs={"rows": 8, "cols": 72, "autocomplete": "off", "spellcheck": "false"}
        ),
        help_text="Without a passphrase. Never shown again; empty: leave it as it is.",
    )
    make_key = forms.BooleanField(
        label="Make a new key",
        required=False,
        help_text="An Ed25519 key whose private half never leaves the portal.",
    )

    class Meta:
        model = DeployKey
        fields = ("project", "host_keys")

    def clean_host_keys(self) -> str:
        """Return lines of known_hosts, without the hosts they name."""
        try:
            return "".join(
                f"{key.kind} {key.blob}\n"
                for key in host_keys.read_host_keys(self.cleaned_data["host_keys"])
            )
        except keys.BadKey as error:
            raise forms.ValidationError(str(error)) from None

    def clean(self) -> dict[str, object]:
        """Return one private key, pasted or made; what may be shown of it is put beside it."""
        given = super().clean() or self.cleaned_data
        pasted = given.get("new_key", "").strip()
        if pasted and given.get("make_key"):
            self.add_error("new_key", "Paste a key or have one made, not both.")
        elif not pasted and not given.get("make_key") and not self.instance.pk:
            self.add_error("new_key", "Paste a private key, or have the portal make one.")
        elif pasted or given.get("make_key"):
            self._take(pasted or keys.make_key())
        return given

    def _take(self, private: str) -> None:
        try:
            private, facts = keys.take(private)
        except keys.BadKey as error:
            self.add_error("new_key", str(error))
            return
        parts = (private, facts.kind, facts.public, facts.fingerprint)
        for name, part in zip(KEY_PARTS, parts, strict=True):
            setattr(self.instance, name, part)


@admin.register(DeployKey)
class DeployKeyAdmin(TwoPeople):
    form = DeployKeyForm
    list_display = ("project", "kind", "fingerprint", "has_host_keys", "changed_at")
    list_select_related = ("project",)
    readonly_fields = ("kind", "fingerprint", "public_key", "changed_at")
    fields = ("project", "new_key", "make_key", "host_keys", *readonly_fields)

    @admin.display(boolean=True, description="host keys pinned")
    def has_host_keys(self, key: DeployKey) -> bool:
        return bool(key.host_keys)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        # A list must not fail over a key that can no longer be decrypted.
        return super().get_queryset(request).defer("private_key")

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> tuple[str, ...]:
        return (*self.readonly_fields, "project") if obj else self.readonly_fields

    def recorded_data(self, obj: DeployKey) -> JsonObject:
        return {"kind": obj.kind, "fingerprint": obj.fingerprint}

    def has_delete_permission(self, request: HttpRequest, obj: DeployKey | None = None) -> bool:
        # Without its deploy key a project is read with the token: removing it takes two people too.
        return bool(
            obj
            and super().has_delete_permission(request, obj)
            and (not obj.fingerprint or self.kind.alone(obj, person(request)))
        )

    def hold_back(self, obj: Any, row: Any, form: ModelForm, asked: Asked) -> None:
        """Propose what is new in a key: it is not used before a second person said so: what is new
        has none until then.
        """
        if row:
            obj.changed_at = row.changed_at
        if "host_keys" in form.changed_data:
            asked.wanted["host_keys"] = obj.host_keys
            asked.wanted["fingerprints"] = host_keys.fingerprints(obj.host_keys)
            obj.host_keys = row.host_keys if row else ""
        if obj.fingerprint == (row.fingerprint if row else ""):
            return
        asked.wanted["private_key"] = obj.fingerprint
        asked.secrets |= {name: getattr(obj, name) for name in KEY_PARTS}
        for name in KEY_PARTS[1:]:
            setattr(obj, name, getattr(row, name) if row else "")
        if row:
            del obj.private_key  # is not read, so it is not written either
        else:
            obj.private_key = ""

    def save_model(
        self, request: HttpRequest, obj: DeployKey, form: ModelForm, change: bool
    ) -> None:
        """Propose the host keys. GitHub's own are pinned from the start."""
        with suppress(GitError):  # an address that git is not given has no host to pin
            address = host_keys.address_of(git_address(obj.project, over_ssh=True))
            if not change and not obj.host_keys and address:
                obj.host_keys = host_keys.published(address.host)
        obj.changed_at = timezone.now()
        super().save_model(request, obj, form, change)
