"""A process of its own in which erasures, restores and holds are killed at one step after the
other: run by test_people_killed.py. See kill_rig.py for how; one line of JSON a kill.
"""

from __future__ import annotations

import itertools
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.dbcore.retention.kill_rig import Tripwire, demand, forked

SIGNED = {"who": "rig", "why": "rig"}
PLANS = 5


@dataclass(frozen=True, slots=True)
class Story:
    """What is set up for a user, done to them, and looked at after."""

    fill: Callable[[str], Any]
    work: Callable[[str, Any], Any]
    look: Callable[[str, Any], Any]


def erase_fill(user: str) -> Any:
    from dbcore.models import DeadLetter, LegalHold
    from dbcore.retention.keepers.choice import primary_keeper
    from tests.dbcore.retention import making
    from tests.dbcore.retention.lives import live

    # Each round is a process of its own: what an earlier one left must not be met again.
    making._numbers = itertools.count(1000 * int(user.split("-")[2]) + 1)
    LegalHold.objects.create(
        scope="user", subject=user, reason="r", placed_by="w", until="2020-01-01T00:00Z"
    )
    DeadLetter.objects.create(
        source="s", target="t", source_table="users", table="users", row_ref=user, key=user,
        reason="r", row={"id": user}, copy_pass="c",
    )  # fmt: skip
    return sum(len(items) for items in live(primary_keeper(), user).values())


def erase_work(user: str, _: Any) -> Any:
    from dbcore.retention.erasure import erase_user

    return erase_user(user, **SIGNED, pauses=(0, 0)).status


def erase_look(user: str, _: Any) -> Any:
    from dbcore.models import Erasure
    from dbcore.retention.erased import subject_of
    from dbcore.retention.keepers.choice import primary_keeper
    from tests.dbcore.retention.lives import places_that_name, records_of

    keeper = primary_keeper()
    row = Erasure.objects.filter(subject=subject_of(user)).first()
    left = sum(len(items) for items in records_of(keeper, user).values())
    return {"left": left, "status": row and row.status, "named": places_that_name(keeper, user)}


def restore_fill(user: str) -> Any:
    from daylight.models import Plan
    from dbcore.retention.keepers.choice import primary_keeper
    from tests.dbcore.retention.lives import archived

    plans = ({"user_id": user, "id": str(number)} for number in range(PLANS))
    return archived(primary_keeper(), Plan, *plans).pk


def restore_work(user: str, archive: str) -> Any:
    from dbcore.retention import restore
    from dbcore.retention.selection import of_archives

    restore.AT_ONCE = 2
    found = restore.restore(of_archives([archive]), restore.RestoreOptions(**SIGNED))
    return found.exit_code


def restore_look(user: str, archive: str) -> Any:
    from daylight.models import Plan
    from dbcore.items import layout_of
    from dbcore.models import RestoredRecord
    from dbcore.retention.keepers.choice import primary_keeper
    from dbcore.retention.records import key_text

    layout = layout_of(Plan)
    live = [key_text(layout, item) for item in primary_keeper().owned_by(layout, user)]
    graces = RestoredRecord.objects.filter(archive=archive).values_list("key", flat=True)
    return {"live": sorted(live), "graces": sorted(graces)}


def hold_fill(user: str) -> Any:
    from daylight.models import Plan
    from dbcore.retention.keepers.choice import primary_keeper
    from tests.dbcore.retention.making import DAY, NOW, put

    return put(primary_keeper(), Plan, NOW - 400 * DAY, user_id=user)


def hold_work(user: str, _: Any) -> Any:
    from django.utils import timezone

    from dbcore.retention.holds import place_hold, user_subject

    placed = place_hold(user_subject(user), **SIGNED, until=None, now=timezone.now())
    return placed.hold.pk


def hold_look(user: str, item: Any) -> Any:
    from daylight.models import Plan
    from dbcore.items import layout_of
    from dbcore.models import LegalHold
    from dbcore.retention.keepers.choice import primary_keeper
    from dbcore.retention.rules import Rule
    from tests.dbcore.retention.making import NOW

    rows = list(LegalHold.objects.filter(subject=user).values_list("pk", flat=True))
    if not rows:
        return {"rows": rows, "removal": None}
    (removal,) = primary_keeper().remove(Rule(layout_of(Plan), 365, NOW), [item])
    return {"rows": rows, "removal": removal.value}


STORIES = {
    "erase": Story(erase_fill, erase_work, erase_look),
    "restore": Story(restore_fill, restore_work, restore_look),
    "hold": Story(hold_fill, hold_work, hold_look),
}


def main(store: str, archives: Path, story: Story, first: int, stride: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    from dbcore.table_sync import sync_tables

    def set_up() -> None:
        call_command("migrate", verbosity=0)
        if store == "dynamodb":
            sync_tables()

    def armed(at: int, user: str, given: Any) -> Any:
        Tripwire(at, archives).arm()
        return story.work(user, given)

    demand(forked(set_up))
    at, status = first, -signal.SIGKILL
    while status:
        user = f"person-number-{at}-of-the-rig"
        given = demand(forked(lambda user=user: story.fill(user)))
        status, _ = forked(lambda at=at, user=user, given=given: armed(at, user, given))
        if status not in (0, -signal.SIGKILL):
            raise SystemExit(f"the work that was to be killed before effect {at} failed")
        after_kill = demand(forked(lambda user=user, given=given: story.look(user, given)))
        answer = demand(forked(lambda user=user, given=given: story.work(user, given)))
        after_all = demand(forked(lambda user=user, given=given: story.look(user, given)))
        found = {"at": at, "killed": status != 0, "given": given, "answer": answer, "user": user}
        print(json.dumps({**found, "after_kill": after_kill, "after_all": after_all}), flush=True)
        at += stride


if __name__ == "__main__":
    name, where, folder, begin, step = sys.argv[1:]
    main(where, Path(folder), STORIES[name], int(begin), int(step))
