"""A developer's machine: SQLite, the local DynamoDB engine, pages that explain their errors."""

from settings.base import *  # noqa: F403
from settings.base import SENTRY_ENVIRONMENT, archive_keys, env

DEBUG = env.bool("DJANGO_DEBUG", default=True)
SECRET_KEY = env.str("DJANGO_SECRET_KEY", default="development-only-not-a-secret")
ALLOWED_HOSTS = env.list("DJANGO_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
DYNAMODB_ENDPOINT = env.str("DYNAMODB_ENDPOINT", default="local")
DBCORE_AUTO_MIGRATE = True
# Published with the source, so it protects nothing: never for production, which refuses it.
ARCHIVE_ENCRYPTION_KEYS = archive_keys(
    env.str(
        "ARCHIVE_ENCRYPTION_KEYS",
        default="development:ZGV2ZWxvcG1lbnQgb25seSwgbm90IGEgc2VjcmV0ISE=",
    )
)
SENTRY_ENVIRONMENT = SENTRY_ENVIRONMENT or "development"
