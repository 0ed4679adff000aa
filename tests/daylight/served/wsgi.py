"""What gunicorn loads before it forks: everything has been used, and stays open."""

from __future__ import annotations

import os
import sys

from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.daylight.served.settings"
application = get_wsgi_application()

from daylight.database import initialize_database  # noqa: E402
from tests.daylight.served.stores import STORES, services  # noqa: E402
from tests.daylight.served.urls import session  # noqa: E402

initialize_database()
for name in STORES:
    users, plans = services(name)
    users.create_user({"id": "shared", "email": "shared@example.org", "password_hash": "x"})
    plans.create_plan("parent", {"id": "before", "title": "before the fork"})
    for _ in range(2):
        users.get_user_by_id("shared")
    assert STORES[name].counters.hits == 1
print(f"parent {os.getpid()} session {session()}", file=sys.stderr, flush=True)
