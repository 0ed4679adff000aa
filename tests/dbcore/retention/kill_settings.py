"""The settings of the process in which sweeps are killed."""

import os

from settings.test import *  # noqa: F403
from settings.test import STORAGES

DYNAMODB_ENDPOINT = os.environ.get("RIG_ENDPOINT", "http://127.0.0.1:9")
RETENTION_LOOKBACK_DAYS = 10
STORAGES["archives"]["OPTIONS"] = {"location": os.environ["RIG_ARCHIVES"]}
