"""The ASGI entry point."""

from settings import settings_module

settings_module(serves=True)  # before anything that reads the environment when it is imported

from django.core.asgi import get_asgi_application  # noqa: E402

application = get_asgi_application()

from dbcore.monitoring.reporter import report_from_here  # noqa: E402  # needs the settings

report_from_here()
