"""What every environment has in common. Every environment variable is read in this package, once.

The variables are described, with their defaults, in `.env.development` and `.env.production`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
def _database(config: dict[str, Any]) -> dict[str, Any]:
    if config["ENGINE"] == "django.db.backends.sqlite3":
        # A relative path is the project's, whichever folder a command is run in.
        config["NAME"] = str(BASE_DIR / config["NAME"])
        Path(config["NAME"]).parent.mkdir(parents=True, exist_ok=True)
        config.setdefault("OPTIONS", {}).update(
            # WAL: a reader and the writer of checkpoints do not wait for one another.
            init_command="PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            transaction_mode="IMMEDIATE",
            timeout=20,
        )
    return config


DATABASES = {
    "default": _database(
        env.db("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'daylight.sqlite3'}")
    )
}
# Replicas of it, for reads that may lag. Each is an alias of its own: replica1, replica2, …
DATABASE_REPLICAS: list[str] = []
for _url in env.list("DATABASE_REPLICA_URLS", default=[]):
    DATABASE_REPLICAS.append(f"replica{len(DATABASE_REPLICAS) + 1}")
    _replica = _database(env.db_url_config(_url)) | {"TEST": {"MIRROR": "default"}}
    if _replica["ENGINE"] == "django.db.backends.postgresql":
        # Another can be asked: no reason to wait long for this one.
        _replica.setdefault("OPTIONS", {}).setdefault("connect_timeout", 2)  # seconds
    DATABASES[DATABASE_REPLICAS[-1]] = _replica
DATABASE_ROUTERS = ["dbcore.stores.router.ReplicaRouter"]

# The store that services use: sqlite or postgresql (the database above), or dynamodb.
DATABASE_PRIMARY = env.str("DATABASE_PRIMARY", default="sqlite")

# --- Cache of records -----------------------------------------------------------------------------
APP_CACHE_ENABLED = env.bool("APP_CACHE_ENABLED", default=True)
APP_CACHE_SIZE = env.int("APP_CACHE_SIZE", default=10_000)  # entries in process; a record takes 2
APP_CACHE_TTL = env.int("APP_CACHE_TTL", default=30)  # seconds
_cache = env.cache_url_config(env.str("CACHE_URL", default="") or "locmemcache://")
CACHES = {"default": {name.upper(): value for name, value in _cache.items()}}
CACHES["records"] = {**CACHES["default"], "TIMEOUT": APP_CACHE_TTL}
if CACHES["records"]["BACKEND"] == "django.core.cache.backends.locmem.LocMemCache":
    CACHES["records"] |= {"LOCATION": "records", "OPTIONS": {"MAX_ENTRIES": APP_CACHE_SIZE}}
elif CACHES["records"]["BACKEND"] == "django.core.cache.backends.redis.RedisCache":
    CACHES["records"]["OPTIONS"] = {
        "socket_timeout": 0.25,  # seconds: a cache that is slower than the store is of no use
        "socket_connect_timeout": 0.25,
        **CACHES["default"].get("OPTIONS", {}),
        "serializer": "dbcore.stores.plain_bytes.PlainBytes",
    }
# What `get` reads through the cache. Never what decides whether somebody may come in: sessions, API
# keys and rate limits are always read from the store.
DBCORE_CACHED_MODELS = [
    "daylight.User",
    "daylight.UserProfile",
    "daylight.Role",
    "daylight.Permission",
    "daylight.WeatherCache",
    "daylight.TrafficData",
    "daylight.EventsCache",
]
# Unique fields by which such a record is found through the cache. Not a user's email: what it finds
# decides a sign-in.
DBCORE_CACHED_LOOKUPS = ["daylight.Role.name", "daylight.Permission.name"]

# --- DynamoDB -----------------------------------------------------------------------------------
# "" is AWS itself; "local" the project's own engine; otherwise a URL (plain http on loopback only).
DYNAMODB_ENDPOINT = env.str("DYNAMODB_ENDPOINT", default="")
DYNAMODB_REGION = env.str("DYNAMODB_REGION", default="") or env.str(
    "AWS_REGION", default=env.str("AWS_DEFAULT_REGION", default="eu-central-1")
)
# Replicas of global tables, for reads that may lag: "eu-west-1", or "eu-west-1=URL".
DYNAMODB_REPLICA_REGIONS = env.list("DYNAMODB_REPLICA_REGIONS", default=[])
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
