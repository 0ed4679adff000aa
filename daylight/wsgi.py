"""The WSGI entry point."""

import os

from django.core.wsgi import get_wsgi_application

from settings import settings_module

os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings_module())
application = get_wsgi_application()

from dbcore.monitoring.reporter import report_from_here  # noqa: E402  # needs the settings

report_from_here()
