"""A DynamoDB engine on this machine, for development and tests.

It must never be what production talks to, and nothing in this package may import Django's
settings before a call needs them: ``LocalEngine`` is usable without a Django project.
"""

from dbcore.local_engine.binary import EngineBinary, find_engine
from dbcore.local_engine.engine import LocalEngine
from dbcore.local_engine.errors import (
    EngineCrashedError,
    EngineError,
    EngineInUseError,
    EngineMissingError,
    EngineNotReadyError,
    PortTakenError,
    SharedEngineUnsupportedError,
)
from dbcore.local_engine.shared import (
    EngineStatus,
    SharedEngine,
    local_endpoint,
    release,
    shared_engine,
)
from dbcore.local_engine.state import EngineState

__all__ = [
    "EngineBinary",
    "EngineCrashedError",
    "EngineError",
    "EngineInUseError",
    "EngineMissingError",
    "EngineNotReadyError",
    "EngineState",
    "EngineStatus",
    "LocalEngine",
    "PortTakenError",
    "SharedEngine",
    "SharedEngineUnsupportedError",
    "find_engine",
    "local_endpoint",
    "release",
    "shared_engine",
]
