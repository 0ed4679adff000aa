"""Production: AWS, HTTPS only. What must be set is refused here, at start, when it is not."""

from django.core.exceptions import ImproperlyConfigured

from settings.base import *  # noqa: F403
from settings.base import (
    ALERT_EMAIL,
    ALLOWED_HOSTS,
    ARCHIVE_ENCRYPTION_KEYS,
    DYNAMODB_ENDPOINT,
    EMAIL_BACKEND,
    LOG_LEVEL,
    SECRET_KEY,
    SENTRY_ENVIRONMENT,
    env,
)
from settings.logs import logging_config

if len(SECRET_KEY) < 32:
    raise ImproperlyConfigured("DJANGO_SECRET_KEY must be set, to at least 32 characters.")
if not ALLOWED_HOSTS:
    raise ImproperlyConfigured("DJANGO_ALLOWED_HOSTS must name the hosts that are served.")
if DYNAMODB_ENDPOINT == "local":
    raise ImproperlyConfigured("DYNAMODB_ENDPOINT=local is the development engine; leave it empty.")
if any(secret.startswith(b"development only") for secret in ARCHIVE_ENCRYPTION_KEYS.values()):
    raise ImproperlyConfigured("ARCHIVE_ENCRYPTION_KEYS has the development key: it is published.")
if ALERT_EMAIL and EMAIL_BACKEND == "django.core.mail.backends.console.EmailBackend":
    raise ImproperlyConfigured("ALERT_EMAIL is set, and EMAIL_URL must name the mail server.")

DYNAMODB_DELETION_PROTECTION = env.bool("DYNAMODB_DELETION_PROTECTION", default=True)

SECURE_SSL_REDIRECT = True
# Prometheus and health probes ask each process itself, behind the proxy that ends TLS.
SECURE_REDIRECT_EXEMPT = [r"^metrics$", r"^health/(live|ready)$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True

LOG_FORMAT = env.str("LOG_FORMAT", default="json")
LOGGING = logging_config(LOG_FORMAT, LOG_LEVEL)
SENTRY_ENVIRONMENT = SENTRY_ENVIRONMENT or "production"
