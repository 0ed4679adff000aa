"""Tests: nothing outside this machine, an engine that the tests start and name themselves."""

from settings.base import *  # noqa: F403
from settings.base import LOG_FORMAT, found
from settings.environment import in_environment
from settings.logs import logging_config

in_environment("test", found)
# Tests point this at their own engine; with none, a call fails at once instead of waiting.
DYNAMODB_ENDPOINT = "http://127.0.0.1:9"
# Tests of monitoring measure; what others do is not written down behind their backs.
DB_METRICS_ENABLED = False
# A test that wants the cache turns it on: what one test has cached is not there for the next.
APP_CACHE_ENABLED = False
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# A test that archives brings a place of its own (tests/support/archives.py); what another writes
# is never among a developer's archives.
STORAGES = {
    **STORAGES,
    "archives": {
        "BACKEND": "dbcore.retention.archives.files.FileArchives",
        "OPTIONS": {"location": str(VAR_DIR / "test-archives")},
    },
}
ARCHIVE_ENCRYPTION_KEYS = {"test": b"for tests only, never a secret!!"}
# On a busy machine anything may be slow, and what a command prints is compared.
DB_SLOW_QUERY_LOG = False
LOGGING = logging_config(LOG_FORMAT, "WARNING")
# A test that tells Sentry brings a server of its own.
SENTRY_DSN = ""
SENTRY_ENVIRONMENT = "test"
