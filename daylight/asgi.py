"""The ASGI entry point."""

import os

from django.core.asgi import get_asgi_application

from settings import settings_module

os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings_module())
application = get_asgi_application()

from daylight.database import initialize_database  # noqa: E402  # needs the settings
from dbcore.monitoring.starting import begin  # noqa: E402

begin(initialize_database)
