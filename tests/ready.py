"""Imported first by a script that runs outside pytest: starts PostgreSQL (see tests.postgres), readies Django."""

import os

import django

import tests.postgres  # noqa: F401 -- sets DATABASE_URL before Django reads its settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django.setup()
