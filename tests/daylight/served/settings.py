"""Development's settings with the small site's pages."""

from settings.development import *  # noqa: F403

ROOT_URLCONF = "tests.daylight.served.urls"
MIDDLEWARE = []
DEBUG = False
