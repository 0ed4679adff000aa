"""What every environment has in common. Every environment variable is read in this package, once.

The variables are described, with their defaults, in `.env.development` and `.env.production`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import environ

from settings.archives import archive_keys
from settings.logs import logging_config, proxies
from settings.retention import retention_days, share

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
    "health_check",  # its page, which ours extends
]

MIDDLEWARE = [
    "dbcore.monitoring.lines.requests.request_id",  # first: what the others log has it, too
    "dbcore.monitoring.starting.until_started",
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
    elif config["ENGINE"] == "django.db.backends.postgresql":
        # libpq waits for good, and with it every request and every health check.
        config.setdefault("OPTIONS", {}).setdefault("connect_timeout", 3)  # seconds, an address
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
    _replica = env.db_url_config(_url) | {"TEST": {"MIRROR": "default"}}
    if _replica["ENGINE"] == "django.db.backends.postgresql":
        # Another can be asked: no reason to wait long for this one.
        _replica.setdefault("OPTIONS", {}).setdefault("connect_timeout", 2)  # seconds
    DATABASES[DATABASE_REPLICAS[-1]] = _database(_replica)
DATABASE_ROUTERS = ["dbcore.stores.router.ReplicaRouter"]

# The store that services use: sqlite or postgresql (the database above), or dynamodb.
DATABASE_PRIMARY = env.str("DATABASE_PRIMARY", default="sqlite")

# --- Log ------------------------------------------------------------------------------------------
LOG_FORMAT = env.str("LOG_FORMAT", default="text")  # json or text
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOGGING = logging_config(LOG_FORMAT, LOG_LEVEL)
# Whose X-Request-ID is taken over: addresses and networks of proxies, "unix" through a socket.
REQUEST_ID_PROXIES = proxies(env.list("REQUEST_ID_PROXIES", default=[]))

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
DYNAMODB_POOL_SIZE = env.int("DYNAMODB_POOL_SIZE", default=32)  # idle connections, async calls
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


# --- Archives of retention ------------------------------------------------------------------------
# Keys by id: the first encrypts, all decrypt. With none, nothing is archived.
ARCHIVE_ENCRYPTION_KEYS = archive_keys(env.str("ARCHIVE_ENCRYPTION_KEYS", default=""))
ARCHIVE_DIR = BASE_DIR / (env.str("ARCHIVE_DIR", default="") or VAR_DIR / "archives")
ARCHIVE_S3_BUCKET = env.str("ARCHIVE_S3_BUCKET", default="")  # where it is set: instead of the dir
ARCHIVE_S3_PREFIX = env.str("ARCHIVE_S3_PREFIX", default="")
ARCHIVE_S3_ENDPOINT = env.str("ARCHIVE_S3_ENDPOINT", default="")
ARCHIVE_KMS_KEY_ID = env.str("ARCHIVE_KMS_KEY_ID", default="")
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "archives": {
        "BACKEND": "dbcore.retention.archives.files.FileArchives",
        "OPTIONS": {"location": str(ARCHIVE_DIR)},
    },
}
if ARCHIVE_S3_BUCKET:
    STORAGES["archives"] = {
        "BACKEND": "dbcore.retention.archives.s3.S3Archives",
        "OPTIONS": {
            "bucket_name": ARCHIVE_S3_BUCKET,
            "location": ARCHIVE_S3_PREFIX.strip("/"),
            "endpoint_url": ARCHIVE_S3_ENDPOINT or None,
            "region_name": DYNAMODB_REGION,
            "kms_key_id": ARCHIVE_KMS_KEY_ID,
        },
    }

# --- Migration ------------------------------------------------------------------------------------
MIGRATE_FROM_SQLITE = env.bool("MIGRATE_FROM_SQLITE", default=False)

# --- Retention ------------------------------------------------------------------------------------
RETENTION_GRACE_DAYS = env.int("RETENTION_GRACE_DAYS", default=30)  # a restored record stays
RETENTION_ENABLED = env.bool("RETENTION_ENABLED", default=True)
# Other days than the code declares: "plans=400,users=3650". Fewer must be accepted once.
RETENTION_DAYS = retention_days(env.str("RETENTION_DAYS", default=""))
# A sweep that would delete more than this share of a table stops and asks.
RETENTION_MAX_SHARE = share("RETENTION_MAX_SHARE", env.str("RETENTION_MAX_SHARE", default="0.2"))
# How far back the first sweep of a table in DynamoDB looks for what is due, in days.
RETENTION_LOOKBACK_DAYS = env.int("RETENTION_LOOKBACK_DAYS", default=3650)

# --- Monitoring ---------------------------------------------------------------------------------
DB_METRICS_ENABLED = env.bool("DB_METRICS_ENABLED", default=True)
# Seconds between records of what was measured, in the table of this model and at CloudWatch.
DB_METRICS_INTERVAL = env.float("DB_METRICS_INTERVAL", default=60.0)
DBCORE_METRICS_MODEL = "daylight.PerformanceMetric"
# A line in the log for each query over DB_LATENCY_THRESHOLD.
DB_SLOW_QUERY_LOG = env.bool("DB_SLOW_QUERY_LOG", default=True)
DB_CLOUDWATCH_INTEGRATION = env.bool("DB_CLOUDWATCH_INTEGRATION", default=False)
DB_CLOUDWATCH_NAMESPACE = env.str("DB_CLOUDWATCH_NAMESPACE", default="Daylight/Database")
DB_CLOUDWATCH_ENDPOINT = env.str("DB_CLOUDWATCH_ENDPOINT", default="")  # "": AWS
# What may read /metrics from elsewhere; "": only this machine and staff.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
# Where processes that serve together keep their counters. prometheus_client reads the variable
# itself, when it is imported, and takes an empty one for a folder.
PROMETHEUS_MULTIPROC_DIR = env.str("PROMETHEUS_MULTIPROC_DIR", default="")
if PROMETHEUS_MULTIPROC_DIR:
    PROMETHEUS_MULTIPROC_DIR = str(BASE_DIR / PROMETHEUS_MULTIPROC_DIR)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = PROMETHEUS_MULTIPROC_DIR
    Path(PROMETHEUS_MULTIPROC_DIR).mkdir(parents=True, exist_ok=True)
else:
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)

# Seconds that each health check has.
DB_HEALTH_DEADLINE = env.float("DB_HEALTH_DEADLINE", default=5.0)
# Shares of a disk that are free: with less a warning, or critical.
DB_HEALTH_DISK_WARNING = env.float("DB_HEALTH_DISK_WARNING", default=0.1)
DB_HEALTH_DISK_CRITICAL = env.float("DB_HEALTH_DISK_CRITICAL", default=0.03)

# --- Alerts ---------------------------------------------------------------------------------------
DB_ALERTS_ENABLED = env.bool("DB_ALERTS_ENABLED", default=True)
DB_LATENCY_THRESHOLD = env.float("DB_LATENCY_THRESHOLD", default=500.0)  # milliseconds
DB_ERROR_THRESHOLD = env.float("DB_ERROR_THRESHOLD", default=0.05)  # share of calls
DB_CONN_THRESHOLD = env.float("DB_CONN_THRESHOLD", default=0.8)  # share of connections
# Rules that differ from the defaults, as JSON by name: dbcore/monitoring/alerts/rules.py.
DB_ALERT_RULES = env.str("DB_ALERT_RULES", default="")
# Which installation an alert is about; "": the prefix of the tables.
DB_ALERTS_SOURCE = env.str("DB_ALERTS_SOURCE", default="")
# Where docs/runbooks is served: the page's name follows it, or stands for {name} in it.
DB_RUNBOOK_URL = env.str("DB_RUNBOOK_URL", default="")
ALERT_EMAIL = env.list("ALERT_EMAIL", default=[])
ALERT_SLACK_WEBHOOK = env.str("ALERT_SLACK_WEBHOOK", default="")
ALERT_SNS_TOPIC = env.str("ALERT_SNS_TOPIC", default="")
ALERT_SNS_ENDPOINT = env.str("ALERT_SNS_ENDPOINT", default="")  # "": AWS
ALERT_PAGERDUTY_KEY = env.str("ALERT_PAGERDUTY_KEY", default="")
ALERT_PAGERDUTY_URL = env.str(
    "ALERT_PAGERDUTY_URL", default="https://events.pagerduty.com/v2/enqueue"
)

# --- Mail -----------------------------------------------------------------------------------------
# EMAIL_BACKEND, EMAIL_HOST, …; where there is no server, mails are printed.
vars().update(env.email_url_config(env.str("EMAIL_URL", default="") or "consolemail://"))
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = env.str("ALERT_EMAIL_FROM", default="daylight@localhost")

# --- Errors to Sentry -----------------------------------------------------------------------------
SENTRY_DSN = env.str("SENTRY_DSN", default="")
SENTRY_ENVIRONMENT = env.str("SENTRY_ENVIRONMENT", default="")
SENTRY_RELEASE = env.str("SENTRY_RELEASE", default="")  # "": the commit, where there is a checkout
# Share of requests that are traced, each with a span for every database call.
SENTRY_TRACES_SAMPLE_RATE = env.float("SENTRY_TRACES_SAMPLE_RATE", default=0.0)
# Who is told of holds, restores, erasures and exports: a callable that is given the event, or "".
DBCORE_AUDIT = "daylight.services.audit.record_event"
# The tables of an earlier database file, for `migrate_to_dynamo --source FILE`.
DBCORE_LEGACY_TABLES = "daylight.legacy.LEGACY_TABLES"
# Whether a command that keeps books makes its own tables in Django's database where they are
# missing. Production runs `manage.py migrate` as a step of its own.
DBCORE_AUTO_MIGRATE = False
