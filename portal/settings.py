"""Settings of the portal, all taken from the environment; `.env.example` names each one."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from portal.environ import database, flag, items, number, secret_key, smtp, text

BASE_DIR = Path(__file__).resolve().parent.parent
# Installed from a wheel, the portal keeps its files where it is started.
HOME_DIR = BASE_DIR if (BASE_DIR / "manage.py").exists() else Path.cwd()
VAR_DIR = Path(os.environ.get("PORTAL_VAR_DIR") or HOME_DIR / "var")

# Where the portal's tables lie.
DATABASE_SCHEMA = text("DATABASE_SCHEMA") or "public"
SECRET_KEY = secret_key(VAR_DIR)
# Newest first; values are encrypted with the first and read with any, so that keys can be rotated.
FIELD_ENCRYPTION_KEYS = items("FIELD_ENCRYPTION_KEYS") or [SECRET_KEY]
DEBUG = flag("DEBUG", False)
# On Railway the address is known without being set.
_OWN_DOMAIN = text("RAILWAY_PUBLIC_DOMAIN")
PORTAL_URL = (
    text("PORTAL_URL").rstrip("/")
    or (f"https://{_OWN_DOMAIN}" if _OWN_DOMAIN else "")
    or "http://127.0.0.1:8000"
)
ALLOWED_HOSTS = items("ALLOWED_HOSTS") or [
    *("localhost", "127.0.0.1", "[::1]"),
    *filter(None, [urlsplit(PORTAL_URL).hostname]),
]
CSRF_TRUSTED_ORIGINS = items("CSRF_TRUSTED_ORIGINS") or (
    [PORTAL_URL] if PORTAL_URL.startswith("https://") else []
)

GITHUB_API_URL = text("GITHUB_API_URL", "https://api.github.com").rstrip("/")
GITHUB_GIT_URL = text("GITHUB_GIT_URL", "https://github.com").rstrip("/")
RAILWAY_API_URL = text("RAILWAY_API_URL", "https://backboard.railway.com/graphql/v2")
# Railway's own pages, to which the portal links; empty, as for another API: no links.
_DASHBOARD = "https://railway.com" if ".railway.com/" in RAILWAY_API_URL else ""
RAILWAY_DASHBOARD_URL = text("RAILWAY_DASHBOARD_URL", _DASHBOARD).rstrip("/")
# Read raw, with their spaces: a trailing newline is reported, not silently removed.
GITHUB_TOKEN = os.environ.get("GITHUB_TOKEN", "")
GITHUB_APP_ID = os.environ.get("GITHUB_APP_ID", "")
GITHUB_APP_PRIVATE_KEY = os.environ.get("GITHUB_APP_PRIVATE_KEY", "")
GITHUB_APP_INSTALLATION_ID = os.environ.get("GITHUB_APP_INSTALLATION_ID", "")
GITHUB_WEBHOOK_SECRET = os.environ.get("GITHUB_WEBHOOK_SECRET", "")
RAILWAY_API_TOKEN = os.environ.get("RAILWAY_API_TOKEN", "")
RAILWAY_TOKEN = os.environ.get("RAILWAY_TOKEN", "")
RAILWAY_PROJECT_ID = os.environ.get("RAILWAY_PROJECT_ID", "")
RAILWAY_WEBHOOK_SECRET = os.environ.get("RAILWAY_WEBHOOK_SECRET", "")

# The commit status that branch protection requires, and how often the mirrors are read anyway.
STATUS_CONTEXT = "release-portal"
SYNC_SECONDS = number("SYNC_SECONDS", 30)
# What Railway allows in an hour, counted where it does not say so itself: Free 100, Hobby 1000, Pro
# 10000.
RAILWAY_REQUESTS_PER_HOUR = int(os.environ.get("RAILWAY_REQUESTS_PER_HOUR", "1000"))
# How often the names and fingerprints of variables are read when no setting of their environment
# changed.
VARIABLES_SECONDS = number("VARIABLES_SECONDS", 600)
# Rows of production are kept before a risky migration, up to this many megabytes (0: never), for so
# many days.
BACKUP_MAX_MB = number("BACKUP_MAX_MB", 1000)
BACKUP_DAYS = number("BACKUP_DAYS", 14)
# How often the way back from what is in production is computed again: one call for each service.
ADVICE_SECONDS = number("ADVICE_SECONDS", 600)
# Migrations of a release are rehearsed by themselves; a person can ask for it in any case.
REHEARSE = flag("REHEARSE", True)
# Whether the portal may start as a superuser of PostgreSQL, which the status page then says.
ALLOW_SUPERUSER_DATABASE = flag("ALLOW_SUPERUSER_DATABASE", False)
# How often the audit chain is verified and its head written to a file outside the database.
ANCHOR_SECONDS = number("ANCHOR_SECONDS", 300)
# What writes anchors where the database's owner cannot, and reads them: a module with `write` and
# `read`; "": nothing.
AUDIT_OUTSIDE = "environments.git_mirrors.audit_anchors"
# The repository (owner/name; empty: the first project's) and the ref that hold them. Set here, the
# database has no say.
AUDIT_REPOSITORY = text("AUDIT_REPOSITORY")
AUDIT_REF = text("AUDIT_REF") or "refs/release-portal/audit/" + re.sub(
    r"[^A-Za-z0-9-]+", "-", urlsplit(PORTAL_URL).netloc
)
# How often the anchors are pushed there, at most.
ANCHOR_REF_SECONDS = number("ANCHOR_REF_SECONDS", 3600)
# The stand-ins are in use: the sign-in page says who is who.
SANDBOX = flag("SANDBOX", False)
# How long a job stays with a worker that gives no sign of life.
JOB_LEASE_SECONDS = number("JOB_LEASE_SECONDS", 20)
# How long Railway may take to begin deploying what was pushed, before a person is told.
DEPLOY_GRACE_SECONDS = number("DEPLOY_GRACE_SECONDS", 90)
PROTECTIONS_SECONDS = 300.0  # how often the rules of the long-lived branches are read
# Between two new environments; Railway refuses what comes quicker. And how long one that was asked
# for is waited for.
PREVIEW_PAUSE_SECONDS = number("PREVIEW_PAUSE_SECONDS", 30)
PREVIEW_PATIENCE_SECONDS = number("PREVIEW_PATIENCE_SECONDS", 300)
WEBHOOK_HANDLERS = {
    "github": "releases.webhooks.on_github",
    "railway": "environments.webhooks.on_railway",
}

# Modules with health checks: portal.health.registry.
HEALTH_CHECKS = ["portal.health.checks", "environments.health.checks", "releases.health.checks"]
# Whoever sends it as bearer reads /metrics and the details of /health/ready; empty: this machine
# alone.
METRICS_TOKEN = text("METRICS_TOKEN")

# What two people change, and how: portal.configuration.
CONFIGURATION_KINDS = {
    "auth.user": "portal.configuration.people.People",
    "auth.group": "portal.configuration.people.Roles",
    "environments.project": "releases.project_settings.guarded.Projects",
    "environments.environmentdatabase": "releases.project_settings.guarded_parts.Addresses",
    "environments.variablerule": "releases.project_settings.guarded_parts.VariableRules",
    "portal.servicecredential": "releases.project_settings.guarded_parts.Credentials",
    "environments.deploykey": "releases.project_settings.guarded_parts.DeployKeys",
    "environments.service": "releases.project_settings.guarded_parts.Services",
    "releases.checklisttemplate": "releases.project_settings.guarded_parts.Checklists",
    "releases.channel": "releases.project_settings.guarded_parts.Channels",
}

INSTALLED_APPS = [
    "portal",  # first: its commands take the place of those that would leave no trace in the trail
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "portal.apps.PortalAdminConfig",
    "axes",
    "django_q",
    "environments",
    "releases",
]
MIDDLEWARE = [
    "portal.logs.trace.traced",
    "portal.invisible_characters.only_visible",  # around everything that answers, health checks too
    "portal.health.views.ahead_of_hosts",
    "portal.health.metrics.timed",
    "django.middleware.security.SecurityMiddleware",
    "portal.webhooks.receiving.ahead_of_people",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "portal.accounts.sessions.end_old_sessions",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.health.watch.on_pages",
                "portal.ui.context.sandbox",
            ]
        },
    }
]

DATABASES = {
    "default": database(
        os.environ.get("DATABASE_URL", "postgresql://127.0.0.1/portal"), DATABASE_SCHEMA
    )
}

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "portal.accounts.permissions.PermissionsAtOnce",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
# A try that is not looked at counts for nothing, or guessing on would keep a lock shut for ever.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_HANDLER = "portal.accounts.password_guessing.Limits"
AXES_LOCKOUT_CALLABLE = "portal.accounts.password_guessing.refused"
AXES_CLIENT_IP_CALLABLE = "portal.accounts.client_address.client_address"
LOGIN_URL = "admin:login"

# Strict: own files only, no inline script or style, no eval (CSP level 3).
SECURE_CSP = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'", "data:"],
    "font-src": ["'self'"],
    "connect-src": ["'self'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
    "base-uri": ["'none'"],
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
# With an https:// address the portal stands behind a proxy that ends TLS: it speaks plain HTTP
# itself.
IS_HTTPS = PORTAL_URL.startswith("https://")
BEHIND_PROXY = flag("BEHIND_PROXY", False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
# How many proxies of ours add to the header what they saw; what stands before their entries anybody
# can write.
TRUSTED_PROXIES = int(os.environ.get("TRUSTED_PROXIES") or BEHIND_PROXY)
CLIENT_ADDRESS_HEADER = text("CLIENT_ADDRESS_HEADER") or "X-Forwarded-For"
# Not without a proxy: nothing would tell https from http, and it would go round.
SECURE_SSL_REDIRECT = IS_HTTPS and BEHIND_PROXY
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]  # the platform asks it from inside, without TLS
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if IS_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = IS_HTTPS
# Preloading binds a whole domain for years, so its owner decides, not one of its sites.
SILENCED_SYSTEM_CHECKS = ["security.W021"]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
# A session ends after this, whatever happens in it; and when no person has done anything for a
# while.
SESSION_COOKIE_AGE = round(number("SESSION_HOURS", 12) * 3600)
SESSION_IDLE_SECONDS = number("SESSION_IDLE_MINUTES", 120) * 60
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"

# The SMTP server for notifications; without EMAIL_HOST none is sent.
SMTP_HOST = text("EMAIL_HOST")
SMTP_PASSWORD = os.environ.get("EMAIL_HOST_PASSWORD", "")
MAILERS = {"default": smtp(SMTP_HOST, SMTP_PASSWORD)}
DEFAULT_FROM_EMAIL = text("EMAIL_FROM") or "release-portal@localhost"

USE_TZ = True
TIME_ZONE = os.environ.get("TIME_ZONE", "UTC")
LANGUAGE_CODE = "en"
USE_I18N = False

STATIC_URL, STATIC_ROOT = "static/", VAR_DIR / "static"
WHITENOISE_USE_FINDERS = True

LOG_LEVEL = text("LOG_LEVEL", "WARNING").upper()
LOG_FORMAT = "json" if text("LOG_FORMAT").lower() == "json" else "line"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "portal.invisible_characters.LogFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        },
        "json": {"()": "portal.logs.json_lines.JsonFormatter"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    # django-q2 would bring a handler of its own.
    "loggers": {"django-q": {"handlers": ["console"], "level": LOG_LEVEL, "propagate": False}},
}

# Where uncaught and logged errors go, besides the log; empty: nowhere.
SENTRY_DSN = text("SENTRY_DSN")

# The queue only wakes rows (docs/decisions): one attempt, acknowledged even when it fails, no
# re-run by age.
Q_CLUSTER = {
    "name": "portal",
    "orm": "default",
    "broker_class": "portal.jobs.broker.Broker",  # which waits itself
    "workers": int(os.environ.get("WORKERS", "2")),
    "queue_limit": 1,
    "bulk": 1,
    "poll": 0,
    "timeout": 7200,
    "retry": 25000,
    "max_attempts": 1,
    "ack_failures": True,
    "catch_up": False,
    "scheduler": False,
    "save_limit": 200,
    "guard_cycle": 1,
    "label": "Woken jobs",
}
