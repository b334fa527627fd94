"""The portal's own tables; Django finds them by importing this package."""

from portal.models import (
    accounts,
    audit,
    configuration,
    credentials,
    first_start,
    health,
    installation,
    tokens,
    webhooks,
)
