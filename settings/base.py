"""What every environment has in common. What the variables say is in `configuration`; they are
declared in `settings/variables.py` and, those of the layer, in `dbcore/configuration`.
"""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import environ

from dbcore.configuration import DBCORE
from dbcore.private_files import own
from settings.addresses import database, mail_server, make_folder, replicas
from settings.environment import BASE_DIR, configuration, start
from settings.logs import logging_config

VAR_DIR = BASE_DIR / "var"  # what runs write: development databases, logs, reports
own(VAR_DIR)

DBCORE_CONFIGURATION = found = configuration()
DBCORE_ENVIRONMENT_SAID = start().said  # by what, for `manage.py configuration`
# Each variable of the layer is a setting of the same name.
vars().update(found.settings(DBCORE))

# --- Django -----------------------------------------------------------------------------------
DEBUG = found["DJANGO_DEBUG"]
SECRET_KEY = found["DJANGO_SECRET_KEY"]
SECRET_KEY_FALLBACKS = found["DJANGO_SECRET_KEY_FALLBACKS"]
ALLOWED_HOSTS = found["DJANGO_ALLOWED_HOSTS"]
CSRF_TRUSTED_ORIGINS = found["DJANGO_CSRF_TRUSTED_ORIGINS"]
ROOT_URLCONF = "daylight.urls"
WSGI_APPLICATION = "daylight.wsgi.application"
ASGI_APPLICATION = "daylight.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
# What explains an error to who develops shows no secret, whatever is among its variables.
DEFAULT_EXCEPTION_REPORTER = "dbcore.monitoring.debug_pages.Reporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "dbcore.monitoring.debug_pages.Filter"
STATIC_ROOT = VAR_DIR / "static"  # of collectstatic, for who has a web server serve them
WHITENOISE_USE_FINDERS = True  # without it this process does, from where they are
WHITENOISE_ALLOW_ALL_ORIGINS = False

INSTALLED_APPS = [
    "daylight.apps.DaylightConfig",
    "dbcore.apps.DbcoreConfig",
    "daylight.apps.StaffAdmin",  # django.contrib.admin, with our site
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",  # before staticfiles: every server serves them the same way
    "django.contrib.staticfiles",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "health_check",  # its page, which ours extends
]

MIDDLEWARE = [
    "dbcore.monitoring.lines.requests.request_id",  # first: what the others log has it, too
    "daylight.headers.security_headers",  # before all that answers by itself
    "dbcore.odd_requests.refuse_odd_requests",
    "dbcore.monitoring.starting.until_started",
    "django.middleware.security.SecurityMiddleware",
    "daylight.static_files.StaticFiles",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "daylight.trail.pages.AuditedPages",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- Sign-in of staff (docs/sign-in.md) -----------------------------------------------------------
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first: it refuses who has tried too often
    "daylight.signin.backend.StaffBackend",
]
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "daylight.trail.signins.PasswordChanges"},  # refuses none
]
SESSION_ENGINE = "daylight.signin.sessions"
SESSION_COOKIE_AGE = 12 * 3600  # seconds from the sign-in, whatever is done meanwhile
SESSION_SAVE_EVERY_REQUEST = False
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_AGE = SESSION_COOKIE_AGE
LOGIN_URL, LOGIN_REDIRECT_URL = "admin:login", "admin:index"
ADMIN_TOTP_REQUIRED = found["ADMIN_TOTP_REQUIRED"]
TRUSTED_PROXIES = found["DJANGO_TRUSTED_PROXIES"]
OTP_TOTP_ISSUER = "Daylight"
# How many failures are too many is said in daylight/signin/throttle.py.
AXES_HANDLER = "daylight.signin.throttle.Throttle"
AXES_USERNAME_CALLABLE = "daylight.signin.throttle.name_key"
AXES_CLIENT_IP_CALLABLE = "daylight.signin.addresses.counted_address"
AXES_LOCKOUT_CALLABLE = "daylight.signin.throttle.refusal"
AXES_COOLOFF_TIME = dt.timedelta(minutes=30)
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

# --- Django's own database: admin logins, book-keeping, and in development the records ----------
DATABASES = {"default": database(found["DATABASE_URL"], found), **replicas(found)}
# Replicas of it, for reads that may lag. Each is an alias of its own: replica1, replica2, …
DATABASE_REPLICAS = [alias for alias in DATABASES if alias != "default"]
DATABASE_ROUTERS = ["dbcore.stores.router.ReplicaRouter"]

# --- Log ------------------------------------------------------------------------------------------
LOG_FORMAT = found["LOG_FORMAT"]
LOG_LEVEL = found["LOG_LEVEL"]
LOGGING = logging_config(LOG_FORMAT, LOG_LEVEL)

# --- Cache of records -----------------------------------------------------------------------------
_cache = environ.Env.cache_url_config(found["CACHE_URL"] or "locmemcache://")
if _cache["BACKEND"].endswith(".RedisCache"):  # whichever of them is installed
    _cache["BACKEND"] = "django.core.cache.backends.redis.RedisCache"
CACHES = {"default": {name.upper(): value for name, value in _cache.items()}}
CACHES["records"] = {**CACHES["default"], "TIMEOUT": found["APP_CACHE_TTL"]}
if CACHES["records"]["BACKEND"] == "django.core.cache.backends.locmem.LocMemCache":
    _entries = {"MAX_ENTRIES": found["APP_CACHE_SIZE"]}
    CACHES["records"] |= {"LOCATION": "records", "OPTIONS": _entries}
elif CACHES["records"]["BACKEND"] == "django.core.cache.backends.redis.RedisCache":
    _options = CACHES["default"].get("OPTIONS", {})
    CACHES["records"]["OPTIONS"] = {
        "socket_timeout": 0.25,  # seconds: a cache that is slower than the store is of no use
        "socket_connect_timeout": 0.25,
        **_options,
        "serializer": "dbcore.stores.plain_bytes.PlainBytes",
    }
    # Never pickled: who can write to that Redis could run code here.
    _plain = {"serializer": "dbcore.stores.plain_json.PlainJson"}
    CACHES["default"]["OPTIONS"] = {**_options, **_plain}
# What `get` reads through the cache. Never what decides whether somebody may come in: sessions, API
# keys, rate limits and whatever is found by a unique field are always read from the store.
DBCORE_CACHED_MODELS = [
    "daylight.User",
    "daylight.UserProfile",
    "daylight.Role",
    "daylight.Permission",
    "daylight.WeatherCache",
    "daylight.TrafficData",
    "daylight.EventsCache",
]

# --- Files ----------------------------------------------------------------------------------------
LOCAL_DYNAMODB_PATH = BASE_DIR / found["LOCAL_DYNAMODB_PATH"]
ARCHIVE_DIR = BASE_DIR / found["ARCHIVE_DIR"]
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "archives": {
        "BACKEND": "dbcore.retention.archives.files.FileArchives",
        "OPTIONS": {"location": str(ARCHIVE_DIR)},
    },
}
if found["ARCHIVE_S3_BUCKET"]:
    STORAGES["archives"] = {
        "BACKEND": "dbcore.retention.archives.s3.S3Archives",
        "OPTIONS": {
            "bucket_name": found["ARCHIVE_S3_BUCKET"],
            "location": found["ARCHIVE_S3_PREFIX"].strip("/"),
            "endpoint_url": found["ARCHIVE_S3_ENDPOINT"] or None,
            "region_name": found["DYNAMODB_REGION"],
            "kms_key_id": found["ARCHIVE_KMS_KEY_ID"],
        },
    }

# --- Monitoring -----------------------------------------------------------------------------------
DBCORE_METRICS_MODEL = "daylight.PerformanceMetric"
# Where processes that serve together keep their counters. prometheus_client reads the variable
# itself, when it is imported, and takes an empty one for a folder.
PROMETHEUS_MULTIPROC_DIR = found["PROMETHEUS_MULTIPROC_DIR"]
if PROMETHEUS_MULTIPROC_DIR:
    PROMETHEUS_MULTIPROC_DIR = str(BASE_DIR / PROMETHEUS_MULTIPROC_DIR)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = PROMETHEUS_MULTIPROC_DIR
    make_folder(Path(PROMETHEUS_MULTIPROC_DIR), "PROMETHEUS_MULTIPROC_DIR")
else:
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)

# --- Mail -----------------------------------------------------------------------------------------
# EMAIL_BACKEND, EMAIL_HOST, …; where there is no server, mails are printed.
vars().update(mail_server(found["EMAIL_URL"]))
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = found["ALERT_EMAIL_FROM"]

# Who is told of holds, restores, erasures and exports: a callable that is given the event, or "".
DBCORE_AUDIT = "daylight.services.audit.record_event"
# The tables of an earlier database file, for `migrate_to_dynamo --source FILE`.
DBCORE_LEGACY_TABLES = "daylight.legacy.LEGACY_TABLES"
# Whether a command that keeps books makes its own tables in Django's database where they are
# missing. Production runs `manage.py migrate` as a step of its own.
DBCORE_AUTO_MIGRATE = False
