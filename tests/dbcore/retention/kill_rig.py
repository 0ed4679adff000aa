"""A process of its own in which sweeps are killed at every step: run by test_sweep_killed.py.

It counts what has an effect outside of the process (writes and commits in Django's database, calls
to DynamoDB that write, changes of archive files) and kills a forked sweep before the n-th of them,
for every n, until one comes through. After each kill, and after the sweep that follows, it looks at
what is there. One line of JSON a kill, on standard output.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

READS = ("SELECT", "PRAGMA", "EXPLAIN")
DUE, YOUNG = 3, 1


class Tripwire:
    """Kills this process before the effect number `at`."""

    def __init__(self, at: int, archives: Path) -> None:
        self._at, self._archives, self._seen = at, str(archives), 0

    def arm(self) -> None:
        from django.db import connection
        from django.db.backends.base.base import BaseDatabaseWrapper

        from dbcore.wire import Wire

        connection.execute_wrappers.append(self._sql)
        commit, call = BaseDatabaseWrapper._commit, Wire.call

        def committing(wrapper: Any) -> None:
            self._effect("commit")
            commit(wrapper)

        def calling(wire: Any, operation: str, *args: Any, **given: Any) -> Any:
            if operation not in ("Query", "Scan", "GetItem", "BatchGetItem", "DescribeTable"):
                self._effect(operation)
            return call(wire, operation, *args, **given)

        database_class: Any = BaseDatabaseWrapper
        database_class._commit = committing
        wire_class: Any = Wire
        wire_class.call = calling
        sys.addaudithook(self._file)

    def _sql(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        # Within a transaction nothing has an effect before the commit.
        if not (sql.lstrip().upper().startswith(READS) or context["connection"].in_atomic_block):
            self._effect(sql.split(" ", 1)[0])
        return execute(sql, params, many, context)

    def _file(self, event: str, args: tuple[Any, ...]) -> None:
        changes = event in ("os.rename", "os.link", "os.remove", "os.mkdir")
        if event == "open" and isinstance(args[2], int):
            changes = bool(args[2] & (os.O_WRONLY | os.O_RDWR))
        if changes and str(args[0]).startswith(self._archives):
            self._effect(event)

    def _effect(self, what: str) -> None:
        if self._seen == self._at:
            os.kill(os.getpid(), signal.SIGKILL)
        self._seen += 1


def forked(work: Callable[[], Any]) -> tuple[int, Any]:
    """Do `work` in a child; its exit status (negative: a signal) and what it returned."""
    from django.db import connections

    connections.close_all()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        try:
            answer = json.dumps(work()).encode()
            os.write(write, answer)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        answer = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status, json.loads(answer) if answer else None


def main(store: str, archives: Path) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    from dbcore.table_sync import sync_tables

    def set_up() -> None:
        call_command("migrate", verbosity=0)
        if store == "dynamodb":
            sync_tables()

    demand(forked(set_up))
    for at in itertools.count():
        filled = demand(forked(lambda: fill(archives)))
        status, _ = forked(functools.partial(sweep, Tripwire(at, archives)))
        if status not in (0, -signal.SIGKILL):
            raise SystemExit(f"the sweep that was to be killed before effect {at} failed")
        found = demand(forked(functools.partial(after, *filled)))
        print(json.dumps({"at": at, "killed": status != 0, **found}), flush=True)
        if status == 0:
            return


def after(due: list[str], young: list[str]) -> dict[str, Any]:
    """What a kill has left, and what the next sweep makes of it."""
    left = look(due, young)
    return {"after_kill": left, "report": sweep(None), "after_all": look(due, young)}


def demand(outcome: tuple[int, Any]) -> Any:
    status, answer = outcome
    if status:
        raise SystemExit(f"a step of the rig failed with {status}")
    return answer


def fill(archives: Path) -> tuple[list[str], list[str]]:
    """Empty everything, and write users who are due and some who are not; their ids."""
    from daylight import models
    from dbcore.items import layout_of
    from dbcore.models import Archive, Sweep, SweepMark
    from dbcore.retention.keepers.choice import primary_keeper
    from dbcore.retention.rules import Rule
    from tests.dbcore.retention.making import DAY, NOW, put

    shutil.rmtree(archives, ignore_errors=True)
    keeper, layout = primary_keeper(), layout_of(models.User)
    for book in (Archive, Sweep, SweepMark):
        book.objects.all().delete()
    for place in places(keeper):
        items = [item for item in keeper.read(layout, [place]) if item is not None]
        keeper.remove(Rule(layout, 2555, NOW), items)
    due = [put(keeper, models.User, NOW - 2560 * DAY)["id"]["S"] for _ in range(DUE)]
    young = [put(keeper, models.User, NOW)["id"]["S"] for _ in range(YOUNG)]
    Path(os.environ["RIG_IDS"]).write_text(json.dumps(due + young))
    return due, young


def places(keeper: Any) -> list[Any]:
    """The keys of the last round's users."""
    ids = Path(os.environ["RIG_IDS"])
    return [{"id": {"S": each}} for each in json.loads(ids.read_text())] if ids.exists() else []


def sweep(tripwire: Tripwire | None) -> Any:
    from dbcore.retention.options import SweepOptions
    from dbcore.retention.sweep import enforce_retention
    from tests.dbcore.retention.making import NOW

    if tripwire is not None:
        tripwire.arm()
    options = SweepOptions(tables=("users",), as_of=NOW, accept_large_sweep=True, who="rig")
    return enforce_retention(options).as_json()


def look(due: list[str], young: list[str]) -> dict[str, Any]:
    """Which users are there, which are in archives that count as proven, and what the books say."""
    from daylight import models
    from dbcore.items import layout_of
    from dbcore.models import Archive
    from dbcore.retention.archives import Manifest, get_shelf
    from dbcore.retention.keepers.choice import primary_keeper

    layout, keeper = layout_of(models.User), primary_keeper()
    live = [
        item["id"]["S"]
        for item in keeper.read(layout, [{"id": {"S": each}} for each in due + young])
        if item is not None
    ]
    rows = list(Archive.objects.exclude(state=Archive.State.WRITING))
    archived = [
        item["id"]["S"]
        for row in rows
        for item in get_shelf().open(Manifest.from_json(row.manifest), layout)
    ]
    books = [
        {"state": row.state, "count": row.count, "deleted": row.deleted,
         "counted": row.deleted + row.gone + row.changed + row.held + row.kept}
        for row in rows
    ]  # fmt: skip
    unproven = Archive.objects.filter(state=Archive.State.WRITING).count()
    return {"live": live, "archived": archived, "books": books, "unproven": unproven,
            "due": due, "young": young}  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
