"""A configuration of production that has what it must have, and nothing else."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE_KEY = base64.b64encode(bytes(range(7, 39))).decode()
COMPLETE = {
    "DAYLIGHT_ENV": "production",
    "DJANGO_SECRET_KEY": "kX3-9fQ_zL7w" * 5,
    "DJANGO_ALLOWED_HOSTS": "daylight.internal",
    "DATABASE_URL": "postgres://daylight:pg-hunter2@db.daylight.internal:5432/daylight",
    "CACHE_URL": "rediss://:redis-hunter2@cache.daylight.internal:6379/0",
    "DYNAMODB_REGION": "eu-central-1",
    "ARCHIVE_ENCRYPTION_KEYS": f"k2026:{ARCHIVE_KEY}",
}
LOAD = (
    "import django, settings; from django.conf import settings as s; import os; "
    "settings.settings_module(); django.setup(); "
)


def run_python(
    code: str, *, folder: Path = ROOT, **variables: str
) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter with nothing of this one's environment but the path."""
    environment = {"PATH": os.environ["PATH"], "DAYLIGHT_ENV_FILE": os.devnull, **variables}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )
