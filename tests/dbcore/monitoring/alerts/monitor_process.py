"""`manage.py monitor` with one health check, real and quick: does DynamoDB answer?

python -m tests.dbcore.monitoring.alerts.monitor_process --interval 0.3 --format json
"""

from __future__ import annotations

import datetime as dt
import os
import sys
import time
from collections.abc import Sequence

import django
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.management import execute_from_command_line

from settings import settings_module


def run_checks(names: Sequence[str] | None = None, *, now: dt.datetime) -> list[object]:
    from dbcore.monitoring.health.results import CheckResult, Status
    from dbcore.wire import get_wire
    from dbcore.wire.answers import error_code

    began = time.monotonic()
    table = f"{settings.DYNAMODB_TABLE_PREFIX}plans"
    status, sentence = Status.HEALTHY, "DynamoDB answers"
    try:
        get_wire().call("DescribeTable", {"TableName": table}, deadline=0.3)
    except (BotoCoreError, ClientError) as error:
        if error_code(error) != "ResourceNotFoundException":
            status, sentence = Status.CRITICAL, f"DynamoDB does not answer: {error_code(error)}"
    return [CheckResult("primary_store", status, sentence, time.monotonic() - began, now)]


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = settings_module()
    django.setup()
    from dbcore.monitoring import health

    health.run_checks = run_checks
    execute_from_command_line(["manage.py", "monitor", *sys.argv[1:]])
