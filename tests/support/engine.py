"""Pytest fixtures that give a test a real engine of its own, in memory.

A missing engine must never pass unseen: on a developer's machine the tests are skipped and say
why, and where the variable CI is set they fail.
"""

import os
from collections.abc import Iterator

import pytest

from dbcore.local_engine import EngineError, LocalEngine
from tests.support.programs import not_when_quick


def engine_or_skip(kind: str) -> LocalEngine:
    """A started engine of this kind; else the test is skipped, or fails under CI."""
    not_when_quick()
    engine = LocalEngine(kind=kind, binary=os.environ.get("DYNOXIDE_BINARY", ""))
    try:
        engine.start()
    except EngineError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
    return engine


@pytest.fixture(scope="session")
def dynamodb_engine() -> Iterator[LocalEngine]:
    """dynoxide in memory, shared by all tests of the session."""
    with engine_or_skip("dynoxide") as engine:
        yield engine


@pytest.fixture(scope="session")
def moto_engine() -> Iterator[LocalEngine]:
    """moto's server, shared by all tests of the session."""
    with engine_or_skip("moto") as engine:
        yield engine
