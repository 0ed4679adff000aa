"""What every environment has in common. Every environment variable is read in this package, once.

The variables are described, with their defaults, in `.env.development` and `.env.production`.
"""

from __future__ import annotations

from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"  # what runs write: development databases, logs, reports

env = environ.Env()
environ.Env.read_env(env.path("DAYLIGHT_ENV_FILE", default=str(BASE_DIR / ".env")))

# --- Django -----------------------------------------------------------------------------------
DEBUG = False
SECRET_KEY = env.str("DJANGO_SECRET_KEY", default="")
ALLOWED_HOSTS = env.list("DJANGO_ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS = env.list("DJANGO_CSRF_TRUSTED_ORIGINS", default=[])
ROOT_URLCONF = "daylight.urls"
WSGI_APPLICATION = "daylight.wsgi.application"
ASGI_APPLICATION = "daylight.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"

INSTALLED_APPS = [
    "daylight.apps.DaylightConfig",
    "dbcore.apps.DbcoreConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
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

# --- Django's own database: admin logins, book-keeping, and in development the records ----------
DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'daylight.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A relative path is the project's, whichever folder a command is run in.
    DATABASES["default"]["NAME"] = str(BASE_DIR / DATABASES["default"]["NAME"])
    Path(DATABASES["default"]["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    DATABASES["default"].setdefault("OPTIONS", {}).update(
        # WAL: a reader and the writer of checkpoints do not wait for one another.
        init_command="PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        transaction_mode="IMMEDIATE",
        timeout=20,
    )

# --- DynamoDB -----------------------------------------------------------------------------------
# "" is AWS itself; "local" the project's own engine; otherwise a URL (plain http on loopback only).
DYNAMODB_ENDPOINT = env.str("DYNAMODB_ENDPOINT", default="")
DYNAMODB_REGION = env.str("DYNAMODB_REGION", default="") or env.str(
    "AWS_REGION", default=env.str("AWS_DEFAULT_REGION", default="eu-central-1")
)
DYNAMODB_TABLE_PREFIX = env.str("DYNAMODB_TABLE_PREFIX", default="daylight-")
DYNAMODB_CONNECT_TIMEOUT = env.float("DYNAMODB_CONNECT_TIMEOUT", default=5.0)  # seconds
DYNAMODB_READ_TIMEOUT = env.float("DYNAMODB_READ_TIMEOUT", default=15.0)  # seconds
DYNAMODB_DEADLINE = env.float("DYNAMODB_DEADLINE", default=30.0)  # seconds, retries included
DYNAMODB_POOL_SIZE = env.int("DYNAMODB_POOL_SIZE", default=32)  # idle connections kept
DYNAMODB_KMS_KEY_ID = env.str("DYNAMODB_KMS_KEY_ID", default="")
DYNAMODB_POINT_IN_TIME_RECOVERY = env.bool("DYNAMODB_POINT_IN_TIME_RECOVERY", default=True)
DYNAMODB_DELETION_PROTECTION = env.bool("DYNAMODB_DELETION_PROTECTION", default=False)
DYNAMODB_TAGS = env.dict("DYNAMODB_TAGS", default={"application": "daylight"})
# Dollars a million write request units; 0 means the table in dbcore/migration/prices.py.
DYNAMODB_WRITE_PRICE = env.float("DYNAMODB_WRITE_PRICE", default=0.0)

# --- The local engine -----------------------------------------------------------------------------
DYNAMODB_ENGINE = env.str("DYNAMODB_ENGINE", default="auto")  # auto, dynoxide or moto
DYNOXIDE_BINARY = env.str("DYNOXIDE_BINARY", default="")
LOCAL_DYNAMODB_PATH = BASE_DIR / env.str(
    "LOCAL_DYNAMODB_PATH", default=str(VAR_DIR / "dynamodb" / "daylight.db")
)
LOCAL_DYNAMODB_PORT = env.int("LOCAL_DYNAMODB_PORT", default=0)  # 0: a free one

# --- Migration ------------------------------------------------------------------------------------
MIGRATE_FROM_SQLITE = env.bool("MIGRATE_FROM_SQLITE", default=False)

# --- Errors to Sentry -----------------------------------------------------------------------------
SENTRY_DSN = env.str("SENTRY_DSN", default="")
# The tables of an earlier database file, for `migrate_to_dynamo --source FILE`.
DBCORE_LEGACY_TABLES = "daylight.legacy.LEGACY_TABLES"
# Whether a command that keeps books makes its own tables in Django's database where they are
# missing. Production runs `manage.py migrate` as a step of its own.
DBCORE_AUTO_MIGRATE = False
