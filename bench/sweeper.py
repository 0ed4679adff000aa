"""One step of the retention line, in a process of its own: `fill`, `due` or `sweep`.

Filling must not be in the process that sweeps: the peak of its memory is what is asked for.
"""

import argparse
import itertools
import json
import os
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from bench.machine import peak_kib, pin

YOUNG, OLD = timedelta(days=10), timedelta(days=366)
BATCH = 25
DAYS = 3  # due records came due on so many days
USERS = 1000


def records(count: int, age: timedelta, seed: int) -> Iterator[dict[str, Any]]:
    """Plans of that age; no two runs' are the same."""
    drawn = random.Random(seed)
    now = datetime.now(UTC)
    for number in range(count):
        at = now - age - timedelta(days=drawn.randrange(DAYS))
        yield {
            "user_id": f"user-{drawn.randrange(USERS)}",
            "id": f"plan-{seed}-{number:07}",
            "title": "A day in town", "description": "breakfast, then the museum, then the lake",
            "location": {"lat": drawn.random() * 90, "lng": drawn.random() * 180},
            "start_time": at, "end_time": at,
            "activities": [{"name": "museum", "minutes": 90}, {"name": "lake", "minutes": 240}],
            "preferences": {"pace": "slow"}, "status": "completed",
            "created_at": at, "updated_at": at,
        }  # fmt: skip


def write(found: Iterator[dict[str, Any]]) -> None:
    """Write plans into the primary store, fast."""
    from django.conf import settings

    from daylight.models import Plan
    from dbcore.items import layout_of
    from dbcore.wire import Pipeline, get_wire

    if settings.DATABASE_PRIMARY == "sqlite":
        for batch in _cut(found):
            Plan.objects.bulk_create([_plan(values) for values in batch])
        return
    layout = layout_of(Plan)
    with Pipeline(get_wire(), 8) as pipeline:
        for batch in _cut(found, BATCH):
            puts = [{"PutRequest": {"Item": layout.to_item(values)}} for values in batch]
            while not pipeline.has_room:
                _check(pipeline.gather(1))
            body = orjson.dumps({"RequestItems": {layout.table_name: puts}})
            pipeline.submit("BatchWriteItem", layout.table_name, body, None)
        while pipeline.load:
            _check(pipeline.gather(1))


def _plan(values: dict[str, Any]) -> Any:
    from daylight.models import Plan

    plan = Plan(**values)
    plan.pk = plan._meta.pk.value_for(plan)  # type: ignore[union-attr]
    return plan


def _cut(found: Iterator[dict[str, Any]], size: int = 2000) -> Iterator[list[dict[str, Any]]]:
    while batch := list(itertools.islice(found, size)):
        yield batch


def _check(completions: list[Any]) -> None:
    for each in completions:
        if each.error is not None or each.result.get("UnprocessedItems"):
            raise RuntimeError(f"the engine did not take everything: {each.error}")


def sweep(wanted: int) -> float:
    """Seconds of a sweep of plans; it must delete just as many as are wanted."""
    from django.utils import timezone

    from dbcore.retention.options import SweepOptions
    from dbcore.retention.sweep import enforce_retention

    begin = time.perf_counter()
    report = enforce_retention(
        SweepOptions(tables=("plans",), accept_large_sweep=True, who="bench", as_of=timezone.now())
    )
    seconds = time.perf_counter() - begin
    line = report.lines[0]
    if report.exit_code or (line.archived, line.deleted) != (wanted, wanted):
        raise RuntimeError(f"the sweep did not do as it should: {report.as_json()}")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=("fill", "due", "sweep"))
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.test")
    import django

    django.setup()
    from django.conf import settings

    settings.DYNAMODB_ENDPOINT = os.environ.get("BENCH_ENDPOINT", "")
    settings.STORAGES["archives"]["OPTIONS"] = {"location": os.environ["BENCH_ARCHIVES"]}
    seconds = 0.0
    if given.step == "sweep":
        pin(0)
        seconds = sweep(given.records)
    else:
        _make_ready()
        write(records(given.records, YOUNG if given.step == "fill" else OLD, given.seed))
    print(json.dumps({"seconds": seconds, "peak_kib": peak_kib()}), flush=True)


def _make_ready() -> None:
    from django.conf import settings
    from django.core.management import call_command

    from dbcore.table_sync import sync_tables

    call_command("migrate", verbosity=0)
    if settings.DATABASE_PRIMARY == "dynamodb":
        sync_tables()


if __name__ == "__main__":
    main()
