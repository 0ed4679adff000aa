"""Nothing of this machine's own configuration counts, and nothing is configured but what a test
sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dbcore.connecting import connect
from dbcore.connecting.found import Found
from dbcore.wire import close_wires
from tests.support.certificates import Authority

SECONDS = 20.0  # a busy machine may be slow; no test waits for it
SOON = 1.0  # for those who never answer
_NAMES = (
    "AWS_PROFILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION", "AWS_LAMBDA_FUNCTION_NAME", "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy",
    "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "PGSSLMODE", "PGSSLROOTCERT",
)  # fmt: skip

Ask = Callable[..., Found]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The CA that this machine believes."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA that it does not know."""
    return Authority(tmp_path_factory.mktemp("stranger"), "A stranger's CA")


@pytest.fixture(autouse=True)
def this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Any, authority: Authority
) -> Iterator[None]:
    for name in _NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIALOCALLOCAL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.setenv("HOME", str(tmp_path))
    settings.DATABASE_PRIMARY = "sqlite"
    settings.DYNAMODB_ENDPOINT = ""
    close_wires()
    yield
    close_wires()


@pytest.fixture
def ask() -> Ask:
    """What is found of one target."""

    def asked(name: str, seconds: float = SECONDS) -> Found:
        return next(each for each in connect(seconds, [name]) if each.name == name)

    return asked


def said(found: Found) -> str:
    """All that is wrong with it, and what to do."""
    return " / ".join(f"{each.status} {each.what} -> {each.advice}" for each in found.troubles)
