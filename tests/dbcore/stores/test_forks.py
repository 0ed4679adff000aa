"""A forked child works at once, whatever its parent's threads held, and ends nothing of the
parent's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SETUP = """
import os, signal, sys, threading
import django
django.setup()
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection
from daylight.models import User
from dbcore.stores.caching import COUNTERS, CachingStore
from dbcore.stores.flights import Flights
from dbcore.stores.orm import OrmStore

call_command("migrate", verbosity=0)
store = CachingStore(OrmStore(), "records")
store.add(User(id="ana", email="ana@example.org", password_hash="x"))
for _ in range(2):
    assert store.get(User, {"id": "ana"}).email == "ana@example.org"
assert COUNTERS.hits == 1

def in_child(work):
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)  # a lock that nobody will ever release
        try:
            work()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1]
"""
LOCKS = """
held = threading.Barrier(2)

def hold():
    turn = store._flights.turn(place)
    turn.__enter__()
    caches["records"]._lock.acquire()
    COUNTERS._lock.acquire()
    store._flights._lock.acquire()
    held.wait()
    threading.Event().wait()

from dbcore.items import layout_of
from dbcore.stores.record_cache import place_of
place = place_of(store.name, layout_of(User), {"id": "ana"}).entry
threading.Thread(target=hold, daemon=True).start()
held.wait()

def work():
    assert COUNTERS.hits == 0
    for _ in range(2):
        assert store.get(User, {"id": "ana"}).email == "ana@example.org"
    assert (COUNTERS.hits, COUNTERS.misses) == (1, 1)
    with store._flights.turn(place) as first:
        assert first

print(in_child(work))
sys.stdout.flush()
os._exit(0)
"""
CONNECTIONS = """
before = connection.connection

def work():
    assert connection.connection is None
    assert store.inner.get(User, {"id": "ana"}) is not None
    assert connection.connection is not before
    with connection.cursor() as cursor:
        cursor.execute("UPDATE users SET password_hash = 'y'")
    connection.close()

from django.db import transaction
with transaction.atomic():
    store.inner.get(User, {"id": "ana"})
status = in_child(lambda: work())
assert connection.connection is before
assert store.inner.get(User, {"id": "ana"}).password_hash == "y"
print(status)
"""


def run(script: str, folder: Path) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "DAYLIGHT_ENV_FILE": os.devnull,
        "DJANGO_SETTINGS_MODULE": "settings.development",
        "DATABASE_URL": f"sqlite:///{folder}/daylight.sqlite3",
    }
    found = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", SETUP + script],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert found.returncode == 0 and not found.stderr, found.stderr
    return found.stdout.strip()


def test_locks_that_the_parents_threads_held_do_not_stop_the_child(tmp_path: Path) -> None:
    assert run(LOCKS, tmp_path) == "0"


def test_the_child_opens_connections_of_its_own_and_the_parent_keeps_its(tmp_path: Path) -> None:
    assert run(CONNECTIONS, tmp_path) == "0"
