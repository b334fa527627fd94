"""A GitHub App as the credential: made on GitHub by the manifest flow, installed, then used."""

from datetime import datetime

from django.utils import timezone

from environments.github import apps
from portal import audit
from portal.audit import Actor
from portal.credentials.stored import secret_of_app
from portal.models.credentials import NewGitHubApp, ServiceCredential
from portal.outbound.credentials import App
from portal.outbound.http import ApiError
from portal.ui.actions import Refused, action
from releases.setup import credentials

PERMISSION = "portal.change_servicecredential"


@action("credential.app_made", PERMISSION)
def keep_new_app(
    scope: str, *, actor: Actor, code: str, now: datetime | None = None
) -> NewGitHubApp:
    """Keep the App that GitHub has made, by its code; it is not used yet. Raise `Refused`."""
    if actor is None:
        raise Refused("A GitHub App is made by a person.")
    try:
        made = apps.convert(code)
    except ApiError as error:
        raise Refused(error.sentence) from None
    now = now or timezone.now()
    app = {"app_id": made.id, "app_slug": made.slug, "private_key": made.private_key}
    row, _ = NewGitHubApp.objects.update_or_create(
        scope=scope, defaults=app | {"made_at": now, "made_by": actor}
    )
    sentence = f"Made the GitHub App {made.slug}; it is not used yet."
    audit.record("credential.app_made", actor=actor, subject=row, sentence=sentence, now=now)
    return row


@action("credential.set", PERMISSION)
def use_new_app(new: NewGitHubApp, *, actor: Actor, now: datetime | None = None) -> str:
    """Use the App from now on, once it is installed; return a sentence. Two people, as for tokens.

    The installation is what GitHub says, not what the browser brings. Raise `Refused`.
    """
    row = NewGitHubApp.objects.select_for_update().filter(pk=new.pk).first()
    if actor is None or row is None:
        raise Refused("This App is in use already, or was replaced by a newer one.")
    try:
        key = secret_of_app(row)
        installations = apps.installations(apps.NewApp(row.app_id, row.app_slug, key))
        if not installations:
            raise Refused(f"{row.app_slug} is not installed yet: install it on GitHub first.")
        number, account = installations[0]
        what = credentials.tried(
            ServiceCredential.Service.GITHUB, App(row.app_id, key, number), row.scope
        )
    except ApiError as error:
        raise Refused(f"It is not used yet: {error.sentence}") from None
    subject = f"the App {row.app_slug} on {account}{what}"
    secrets = {
        "secret": key,
        "kind": ServiceCredential.Kind.APP.value,
        "app_id": row.app_id,
        "installation_id": number,
        "app_slug": row.app_slug,
    }
    sentence = credentials.keep("github", row.scope, subject, secrets, actor=actor, now=now)
    row.delete()
    return sentence
