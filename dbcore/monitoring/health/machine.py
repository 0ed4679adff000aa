"""This machine: room on its disks, its clock against DynamoDB's. Another host may see otherwise."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

from botocore.exceptions import BotoCoreError
from django.conf import settings

from dbcore.dynamo.leases import lease_table
from dbcore.monitoring.health.dynamodb import about_dynamodb
from dbcore.monitoring.health.files import archive_folder, databases
from dbcore.monitoring.health.verdicts import (
    Context,
    Verdict,
    critical,
    healthy,
    together,
    unknown,
    warning,
)
from dbcore.wire import Wire
from dbcore.wire.client import encode_payload

# Seconds. AWS refuses what is signed more than five minutes off.
SKEW_WARNING, SKEW_CRITICAL = 60.0, 300.0
_RESOLUTION = 1.0  # of a Date header, which is cut off
_GIB = 1024**3


def disk(context: Context) -> Verdict:
    """Room where SQLite's files, archives and temporary files are."""
    seen: set[int] = set()
    verdicts = []
    for what, place in _places():
        while not place.exists() and place != place.parent:
            place = place.parent
        device = place.stat().st_dev
        if device not in seen:
            seen.add(device)
            verdicts.append(_room(what, place))
    return together(verdicts)


def _places() -> Iterator[tuple[str, Path]]:
    yield from ((what, path.parent) for what, path in databases())
    if (archives := archive_folder()) is not None:
        yield "archives", archives
    yield "temporary files", Path(tempfile.gettempdir())


def _room(what: str, place: Path) -> Verdict:
    usage = shutil.disk_usage(place)
    free = usage.free / usage.total if usage.total else 0.0
    said = f"the disk of {what} ({place}) has {usage.free / _GIB:,.1f} GiB free, {free:.0%}"
    files = os.statvfs(place)
    if files.f_files and (left := files.f_favail / files.f_files) < free:  # 0: it has no limit
        free = left
        said = f"the disk of {what} ({place}) has room for {files.f_favail:,} files, {free:.0%}"
    host = platform.node()
    if free < settings.DB_HEALTH_DISK_CRITICAL:
        return critical(f"{said}: make room now, writes are about to fail", host)
    if free < settings.DB_HEALTH_DISK_WARNING:
        return warning(f"{said}: make room, or give it a larger volume", host)
    return healthy(said, host)


@about_dynamodb
def clock(context: Context, wire: Wire) -> Verdict:
    """How far this machine's clock is from DynamoDB's, by the Date of any answer."""
    host = platform.node()
    body = encode_payload({"TableName": lease_table()})
    began = time.time()
    try:
        answer = wire.exchange("DescribeTable", body, time.monotonic() + context.left)
    except (OSError, BotoCoreError):
        return unknown("DynamoDB does not answer, see primary_store", host)
    skew = clock_skew(answer.header("date"), began, time.time())
    if skew is None:
        return unknown("DynamoDB's answer has no Date", host)
    said = f"this machine's clock is {abs(skew):,.0f} seconds {'ahead' if skew > 0 else 'behind'}"
    if abs(skew) > SKEW_CRITICAL:
        return critical(f"{said}, and AWS refuses what it signs: mend the time service", host)
    if abs(skew) > SKEW_WARNING:
        return warning(f"{said}: mend the time service before AWS refuses what it signs", host)
    return healthy(f"{said} of DynamoDB's" if skew else "as DynamoDB's", host)


def clock_skew(date: str | None, began: float, ended: float) -> float | None:
    """Seconds that this machine's clock is ahead of one that told its time in an HTTP answer's Date
    header; the call was made and answered at these times. None where it told none."""
    try:
        server = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return None
    # Of the moments that the Date may stand for, the nearest to those of the call.
    return max(began - server - _RESOLUTION, 0.0) + min(ended - server, 0.0)
