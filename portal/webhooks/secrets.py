"""What proves that a delivery is genuine."""

import hashlib
import hmac
import re

from django.conf import settings

_IN_AN_ADDRESS = re.compile(r"[0-9A-Za-z._~-]+")


def github_signature(secret: str, body: bytes) -> str:
    """Return the value of `X-Hub-Signature-256` (GitHub: Validating webhook deliveries)."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def secret_fault(setting: str) -> str:
    """Return what is wrong with a webhook secret of the settings, in a sentence, or ""."""
    secret = getattr(settings, setting)
    if not secret:
        return f"This portal takes no such webhooks yet: set {setting}."
    if secret != secret.strip():
        return f"{setting} begins or ends with a space or line break: set it again without that."
    if setting == "RAILWAY_WEBHOOK_SECRET" and not _IN_AN_ADDRESS.fullmatch(secret):
        return f"{setting} is part of an address: use only letters, digits and . _ ~ -"
    return ""
