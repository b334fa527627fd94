"""Values that are encrypted at rest."""

import base64
from hashlib import sha256
from typing import Any

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import models


def _cipher() -> MultiFernet:
    keys = [base64.urlsafe_b64encode(sha256(key.encode()).digest()) for key in settings.FIELD_ENCRYPTION_KEYS]
    return MultiFernet([Fernet(key) for key in keys])


class EncryptedTextField(models.TextField):
    """Text that the database holds only encrypted."""

    def get_prep_value(self, value: Any) -> Any:
        return _cipher().encrypt(value.encode()).decode() if value else value

    def from_db_value(self, value: Any, *args: Any) -> Any:
        return _cipher().decrypt(value.encode()).decode() if value else value
