"""`demo`: parse, call, print."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.utils import timezone

from daylight.demo import Demo
from dbcore import deployment
from dbcore.local_engine import release, shared_engine
from dbcore.management.tool import PlainCommand


class Command(PlainCommand):
    """Show the main job, on databases of its own."""

    help = (
        "Makes sample data in SQLite, migrates it to a local DynamoDB engine, verifies it and "
        "reports. It replaces every record, so it runs on databases of its own only: use `make "
        "demo`, which names them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--rows", type=int, default=20_000, help="rows to make (20000)")

    def handle(self, *args: Any, **given: Any) -> None:
        folder = settings.VAR_DIR / "demo"
        places = (settings.DATABASES["default"]["NAME"], settings.LOCAL_DYNAMODB_PATH)
        if any(folder not in Path(place).parents for place in places):
            raise CommandError(f"The demo's databases must be in {folder}: run `make demo`.")
        if settings.DYNAMODB_ENDPOINT != "local":
            raise CommandError("The demo runs on the local engine: DYNAMODB_ENDPOINT=local.")
        deployment.forget_local()
        shared_engine().reset()
        try:
            status = Demo(given["rows"], timezone.now(), self.stdout._out).run()
        finally:
            release()
        if status:
            sys.exit(status)
