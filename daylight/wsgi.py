"""The WSGI entry point."""

import os

from django.core.wsgi import get_wsgi_application

from settings import settings_module

os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings_module())
application = get_wsgi_application()

from daylight.database import initialize_database  # noqa: E402  # needs the settings
from dbcore.monitoring.starting import begin  # noqa: E402

begin(initialize_database)
