"""The ASGI entry point."""

from settings import settings_module

settings_module(serves=True)  # before anything that reads the environment when it is imported

from dbcore.odd_requests import asgi_application  # noqa: E402

application = asgi_application()

from daylight.database import initialize_database  # noqa: E402  # needs the settings
from dbcore.monitoring.starting import begin  # noqa: E402

begin(initialize_database)
