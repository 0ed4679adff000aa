"""A project that is not Daylight uses the layer's variables alone (docs/configuration.md)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = """
import os
from dbcore.configuration import DBCORE, read

DBCORE_CONFIGURATION = read(DBCORE, "production", os.environ)
vars().update(DBCORE_CONFIGURATION.settings(DBCORE))
SECRET_KEY = "of the project"
INSTALLED_APPS = ["shop", "dbcore"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "books.sqlite3"}}
DATABASE_REPLICAS = []
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
CACHES["records"] = CACHES["default"]
DBCORE_METRICS_MODEL = "shop.Metric"
DBCORE_CACHED_MODELS = []
DBCORE_AUDIT = ""
DBCORE_AUTO_MIGRATE = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""
GIVEN = {
    "AWS_REGION": "eu-west-1",
    "ARCHIVE_ENCRYPTION_KEYS": "k:BwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSY=",
    "DB_ERROR_THRESHOLD": "0.1",
}


def shop(folder: Path, *arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
    (folder / "shop").mkdir(exist_ok=True)
    (folder / "shop" / "__init__.py").write_text("")
    (folder / "shop" / "config.py").write_text(SETTINGS)
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": f"{folder}:{ROOT}",
        "DJANGO_SETTINGS_MODULE": "shop.config", **given,
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "django", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip


def test_it_starts_with_the_layers_variables_alone(tmp_path: Path) -> None:
    found = shop(tmp_path, "configuration", "--set", **GIVEN)
    assert found.returncode == 0, found.stderr
    lines = [" ".join(line.split()) for line in found.stdout.splitlines()]
    assert "DYNAMODB_REGION eu-west-1 AWS_REGION, environment" in lines
    assert "DB_ERROR_THRESHOLD 0.1 environment" in lines
    assert "ARCHIVE_ENCRYPTION_KEYS k:*** environment" in lines
    assert "DJANGO_SECRET_KEY" not in found.stdout


def test_and_is_refused_what_is_wrong(tmp_path: Path) -> None:
    found = shop(tmp_path, "check", **{**GIVEN, "DB_ERROR_THRESHOLD": "5%", "AWS_REGION": ""})
    assert found.returncode == 1
    assert "DB_ERROR_THRESHOLD is '5%'" in found.stderr
    assert "DYNAMODB_REGION (or AWS_REGION or AWS_DEFAULT_REGION) is not set" in found.stderr
