"""The ways a notification travels: one function each, listed in `TRANSPORTS`."""

import base64
import hashlib
import hmac
import json
import secrets
import smtplib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import EmailValidator

from environments.smoke.probe import NotPublic, public_places
from portal.outbound import http
from portal.outbound.http import ApiError, Reply
from portal.secrets import HiddenText
from releases.models import Channel, Transport
from releases.notifications.message import Message

SECONDS = 10.0
MAX_ANSWER_BYTES = 64 * 1024
PREFIX = "whsec_"
Send = Callable[[Channel, str, Message, datetime], None]


class Undeliverable(Exception):
    """Another try would not help; the text says why in one sentence, without the address."""


def slack(channel: Channel, notice: str, message: Message, now: datetime) -> None:
    """Post to an incoming webhook of Slack, Mattermost or another that takes the same JSON."""
    text = f"*{_escaped(message.title)}*\n{_escaped(message.text)}\n<{_escaped(message.link)}|Open>"
    _post(channel, json.dumps({"text": text}).encode(), {})


def webhook(channel: Channel, notice: str, message: Message, now: datetime) -> None:
    """Post JSON, signed so that the libraries of the Standard Webhooks can verify it."""
    kind = f"notification.{message.kind}"
    content = {"type": kind, "timestamp": message.at, "data": asdict(message)}
    body, stamp = json.dumps(content).encode(), str(int(now.timestamp()))
    signature = signature_of(_plain(channel.secret), notice, stamp, body)
    headers = {"webhook-id": notice, "webhook-timestamp": stamp, "webhook-signature": signature}
    _post(channel, body, headers)


def email(channel: Channel, notice: str, message: Message, now: datetime) -> None:
    """Send by the SMTP server of the settings."""
    if not settings.SMTP_HOST:
        raise Undeliverable("No SMTP server is set, so no e-mail is sent: set EMAIL_HOST.")
    letter = EmailMessage(
        " ".join(message.title.split())[:200],
        f"{message.text}\n\n{message.link}\n",
        to=[_plain(channel.address)],
    )
    letter.extra_headers["Message-ID"] = f"<{notice}@{urlsplit(settings.PORTAL_URL).hostname}>"
    try:
        letter.send()
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPAuthenticationError) as error:
        refusal = f"The SMTP server refuses the e-mail ({type(error).__name__})."
        raise Undeliverable(refusal) from None
    except (smtplib.SMTPException, OSError) as error:
        problem = f"The SMTP server did not take it ({type(error).__name__})."
        raise ApiError("SMTP", "unavailable", problem) from None


TRANSPORTS: dict[str, Send] = {
    Transport.SLACK: slack,
    Transport.WEBHOOK: webhook,
    Transport.EMAIL: email,
}


def signature_of(secret: str, notice: str, stamp: str, body: bytes) -> str:
    """Return `v1,<base64>` over id, Unix time, body (standardwebhooks.com, “Signature scheme”)."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = hmac.new(key, f"{notice}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(signed).decode()


def new_secret() -> str:
    """Return a fresh signing secret, spelt as the specification says."""
    return PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


def fault_of(transport: str, address: str) -> str:
    """Return what is wrong with an address, in a sentence; "" when nothing is."""
    if transport == Transport.EMAIL:
        try:
            EmailValidator()(address)
        except ValidationError:
            return "This is no e-mail address."
        return ""
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - raises for one that is no number
    except ValueError:
        return "This is no web address."
    if not address.isascii() or not address.isprintable() or " " in address or not parts.hostname:
        return "This is no web address."
    if parts.username is not None:
        return "Leave out user name and password: put the secret into the path, as Slack does."
    local = settings.SANDBOX and http.is_loopback(parts.hostname)
    sound = parts.scheme == "https" or (parts.scheme == "http" and local)
    return "" if sound else "Write an address with https://."


def place_of(transport: str, address: str) -> str:
    """Return the part of an address that may be shown: a webhook's host, or the e-mail address."""
    return address if transport == Transport.EMAIL else urlsplit(address).hostname or ""


def _post(channel: Channel, body: bytes, headers: dict[str, str]) -> None:
    """Post to the channel's address, where it was judged public. Redirects are not followed."""
    address = _plain(channel.address)
    if fault := fault_of(channel.transport, address):
        raise Undeliverable(fault)
    try:
        places = public_places(address, settings.SANDBOX)
    except NotPublic as refusal:
        raise Undeliverable(str(refusal)) from None
    headers = {"Content-Type": "application/json", **headers}
    for place in places[:-1]:
        with suppress(ApiError):
            return _judge(channel, _send(address, body, headers, place))
    _judge(channel, _send(address, body, headers, places[-1]))


def _send(address: str, body: bytes, headers: dict[str, str], place: str) -> Reply:
    # Not as a write: a notification that comes twice is better than one that never comes, and it
    # carries its id.
    return http.send(
        "notification",
        "POST",
        address,
        write=False,
        headers=headers,
        content=body,
        read_seconds=SECONDS,
        limit=MAX_ANSWER_BYTES,
        at=place,
    )


def _judge(channel: Channel, reply: Reply) -> None:
    if 200 <= reply.status < 300:
        return
    message = f"{channel.place} answered HTTP {reply.status}"
    if reply.status in (408, 425, 429) or reply.status >= 500:
        wait, trying = http.retry_after(reply.headers, 0.0), f"{message}: it is being retried."
        raise ApiError("notification", "unavailable", trying, status=reply.status, retry_after=wait)
    raise Undeliverable(f"{message}. Check whether the address is still right.")


def _escaped(text: str) -> str:
    """Return `text` for Slack's mrkdwn, where three signs mean something (Slack: Escaping text)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(value: str) -> str:
    return value.reveal() if isinstance(value, HiddenText) else value
