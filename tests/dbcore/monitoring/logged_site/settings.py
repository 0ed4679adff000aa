"""Development's settings with the small site's pages."""

from settings.development import *  # noqa: F403

ROOT_URLCONF = "tests.dbcore.monitoring.logged_site.urls"
