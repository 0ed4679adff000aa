"""Production: AWS, HTTPS only. What must be set is refused at start when it is not
(settings/variables.py)."""

from settings.base import *  # noqa: F403
from settings.base import found
from settings.environment import in_environment

in_environment("production", found)
SECURE_SSL_REDIRECT = True
# Prometheus and health probes ask each process itself, behind the proxy that ends TLS.
SECURE_REDIRECT_EXEMPT = [r"^metrics$", r"^health/(live|ready)$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
# A browser takes these from this host alone, by https, for all of its paths.
SESSION_COOKIE_NAME = "__Host-sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken"
