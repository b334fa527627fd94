"""Errors to a DSN (Sentry and what speaks its protocol), if SENTRY_DSN names one."""

from typing import Any

from portal.logs import trace
from portal.redaction import in_texts, without_secrets
from portal.version import VERSION


def report_to(dsn: str) -> None:
    """Have uncaught errors and logged ones sent to `dsn`: no person, no header, no body, no
    local variable.
    """
    import sentry_sdk  # here, for it takes time to load and is seldom wanted

    sentry_sdk.init(
        dsn=dsn,
        release=f"release-portal@{VERSION}",
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,  # they would quote statements and addresses
        auto_session_tracking=False,
        include_source_context=False,
        before_send=_cleaned,
    )


def _cleaned(event: Any, hint: object) -> Any:
    """Return the event without what may tell of a person or a secret, and with its trace."""
    request = event.pop("request", None) or {}
    event.pop("user", None)
    address = str(request.get("url", "")).partition("?")[0]
    event["request"] = {"method": request.get("method", ""), "url": address}
    own = {"trace": trace.current(), "job": trace.current_job()}
    event["tags"] = {**(event.get("tags") or {}), **own}
    return in_texts(event, without_secrets)
