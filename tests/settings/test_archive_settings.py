"""Where archives go and their keys: malformed keys are refused at start, and never shown."""

from __future__ import annotations

import base64

import pytest
from django.core.exceptions import ImproperlyConfigured

from dbcore.retention.archives.keyring import KeyRing
from settings.archives import archive_keys
from tests.settings.test_environment import GOOD, LOAD, run_python

SHOW = "print(s.ARCHIVE_ENCRYPTION_KEYS, s.STORAGES['archives'])"
KEY = base64.b64encode(b"k" * 32).decode()
OTHER = base64.b64encode(b"o" * 32).decode()
PUBLISHED = base64.b64encode(b"development only, not a secret!!").decode()


def test_production_starts_without_keys_and_then_archives_nothing() -> None:
    found = run_python(
        LOAD + "from dbcore.retention.archives import get_shelf; get_shelf().check()", **GOOD
    )
    assert "ConfigurationError: ARCHIVE_ENCRYPTION_KEYS is empty: nothing can" in found.stderr


def test_keys_keep_their_order_and_the_first_encrypts() -> None:
    keys = archive_keys(f"z.2026:{KEY}, a-2025:{OTHER},")
    assert list(keys.items()) == [("z.2026", b"k" * 32), ("a-2025", b"o" * 32)]
    assert KeyRing(keys).first == "z.2026"
    assert archive_keys("") == {}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (KEY, "that of number 1 is not"),
        (f"a:{KEY},{OTHER}", "that of number 2 is not"),
        (f"a b:{KEY}", "that of number 1 is not"),
        (f"{'x' * 65}:{KEY}", "that of number 1 is not"),
        (f"a:{KEY},a:{OTHER}", "has two keys called 'a'"),
        ("a:", "key 'a' is not 32 bytes in base64"),
        (f"a:{KEY[:-4]}", "key 'a' is not 32 bytes in base64"),
        (f"a:{KEY}!", "key 'a' is not 32 bytes in base64"),
        (f"a:{KEY}ä", "key 'a' is not 32 bytes in base64"),
        ("a:" + base64.b64encode(b"k" * 31).decode(), "key 'a' is not 32 bytes in base64"),
    ],
)
def test_a_malformed_key_is_refused_and_not_shown(text: str, why: str) -> None:
    with pytest.raises(ImproperlyConfigured) as found:
        archive_keys(text)
    assert why in str(found.value)
    assert KEY[:20] not in str(found.value) and OTHER[:20] not in str(found.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [(f"a:{KEY}x", "key 'a' is not 32 bytes"), (f"a:{PUBLISHED}", "has the development key")],
)
def test_production_refuses_to_start_with_a_bad_key(text: str, why: str) -> None:
    found = run_python(LOAD, **GOOD, ARCHIVE_ENCRYPTION_KEYS=text)
    assert found.returncode == 1
    assert why in found.stderr.splitlines()[-1]
    assert KEY[:20] not in found.stderr


def test_development_has_a_key_that_says_what_it_is() -> None:
    found = run_python(LOAD + SHOW, DAYLIGHT_ENV="development")
    assert "{'development': b'development only, not a secret!!'}" in found.stdout, found.stderr
    assert "FileArchives" in found.stdout and "/var/archives'" in found.stdout


@pytest.mark.parametrize(("given", "place"), [("", "/var/archives"), ("/srv/a", "/srv/a")])
def test_the_directory_is_the_projects_where_it_is_relative(given: str, place: str) -> None:
    found = run_python(LOAD + SHOW, DAYLIGHT_ENV="development", ARCHIVE_DIR=given)
    assert f"{place}'" in found.stdout, found.stderr


def test_a_bucket_takes_the_place_of_the_directory() -> None:
    found = run_python(
        LOAD + "from dbcore.retention.archives import get_shelf; get_shelf(); " + SHOW,
        **GOOD, ARCHIVE_S3_BUCKET="kept", ARCHIVE_S3_PREFIX="/daylight/", DYNAMODB_REGION="eu-x-1",
        ARCHIVE_KMS_KEY_ID="alias/kept",
    )  # fmt: skip
    assert "S3Archives" in found.stdout, found.stderr
    for part in (
        "'bucket_name': 'kept'", "'location': 'daylight'", "'endpoint_url': None",
        "'region_name': 'eu-x-1'", "'kms_key_id': 'alias/kept'",
    ):  # fmt: skip
        assert part in found.stdout


def test_plain_http_to_another_machine_is_refused_by_the_shelf() -> None:
    found = run_python(
        LOAD + "from dbcore.retention.archives import get_shelf; get_shelf()",
        **GOOD, ARCHIVE_S3_BUCKET="kept", ARCHIVE_S3_ENDPOINT="http://s3.example",
    )  # fmt: skip
    assert "ConfigurationError: S3 endpoint for 's3.example': plain HTTP" in found.stderr
