"""The admin site on which configuration and the purpose-built pages live."""

from django.contrib import admin


class PortalSite(admin.AdminSite):
    """Django's admin with the portal's name."""

    site_header = site_title = "Release portal"
