"""The portal's own admin site takes the place of Django's default one."""

from django.contrib.admin import apps


class PortalAdminConfig(apps.AdminConfig):
    """Makes `django.contrib.admin.site` an instance of our site."""

    default = False  # of the app "portal", which lies in the same package
    default_site = "portal.site.PortalSite"
