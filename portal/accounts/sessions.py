"""When sessions end: after inactivity, after a working day, and when the account changes."""

from collections.abc import Collection

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.db.models.signals import m2m_changed, post_save, pre_save
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from portal import audit
from portal.logs.trace import View
from portal.models.tokens import AccessToken
from portal.ui import recent_sign_in

BEGAN_AT, ACTIVE_AT = "began_at", "active_at"  # in seconds since 1970
NOTED_SECONDS = 60  # how exactly the last sign of a person is known
WATCHED = ("password", "is_active", "is_staff", "is_superuser")


def end_old_sessions(get_response: View) -> View:
    """Middleware: ends a session that is over; a page's own polls keep none alive."""

    def handle(request: HttpRequest) -> HttpResponse:
        if SESSION_KEY in request.session:
            if message := _over(request.session):
                _end(request, message)
            elif request.method == "POST" or request.headers.get("HX-Request") != "true":
                _note(request.session)
        return get_response(request)

    return handle


def _over(session: SessionBase) -> str:
    """Return why the session is over, as one that does not say when it began is, or ""."""
    now = timezone.now().timestamp()
    if now - session.get(BEGAN_AT, 0) > settings.SESSION_COOKIE_AGE:
        return "The session was over: a person signs in again after a working day."
    if now - session.get(ACTIVE_AT, 0) > settings.SESSION_IDLE_SECONDS:
        return "The session was over: nobody had used it for a while."
    return ""


def _note(session: SessionBase) -> None:
    now = timezone.now().timestamp()
    if now - session[ACTIVE_AT] > NOTED_SECONDS:
        session[ACTIVE_AT] = now


def _end(request: HttpRequest, message: str) -> None:
    user = request.user
    if user.is_authenticated:  # read from the session, so before that is gone
        request.session_of = user.pk  # type: ignore[attr-defined] # what was typed is kept for this person
        audit.record_own("person.session_ended", user, message)
    request.session.flush()
    request.user = AnonymousUser()


@receiver(user_logged_in)
def _begin(sender: object, request: HttpRequest, user: User, **rest: object) -> None:
    recent_sign_in.note(request.session, BEGAN_AT, ACTIVE_AT, recent_sign_in.PROVED_AT)
    request.session.pop(recent_sign_in.SECOND_FACTOR_AT, None)


def sign_out_everywhere(users: Collection[int]) -> None:
    """End every session and every access token of these accounts, by number."""
    AccessToken.objects.filter(user__in=users).delete()
    gone = {str(pk) for pk in users}
    for session in Session.objects.filter(expire_date__gt=timezone.now()).iterator():
        if session.get_decoded().get(SESSION_KEY) in gone:
            session.delete()


@receiver(pre_save, sender=User)
def _remember(
    sender: object, instance: User, update_fields: Collection[str] | None = None, **rest: object
) -> None:
    if instance.pk and (update_fields is None or set(update_fields) & set(WATCHED)):
        instance.was = User.objects.filter(pk=instance.pk).values_list(*WATCHED).first()  # type: ignore[attr-defined]


@receiver(post_save, sender=User)
def _account_changed(sender: object, instance: User, **rest: object) -> None:
    was = instance.__dict__.pop("was", None)
    if was is not None and was != tuple(getattr(instance, name) for name in WATCHED):
        sign_out_everywhere([instance.pk])


@receiver(m2m_changed, sender=User.groups.through)
@receiver(m2m_changed, sender=User.user_permissions.through)
def _roles_changed(
    sender: object, instance: object, action: str, pk_set: set[int] | None, **rest: object
) -> None:
    if action in ("post_add", "post_remove", "post_clear"):
        if isinstance(instance, User):
            if action == "post_clear" or pk_set:
                sign_out_everywhere([instance.pk])
        elif pk_set:
            sign_out_everywhere(pk_set)
