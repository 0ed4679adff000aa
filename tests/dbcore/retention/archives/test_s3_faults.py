"""A bucket whose objects are frozen, and an S3 that fails: what is thawed, retried, told.

moto thaws at once unless it is told to take its time, and does not know RestoreAlreadyInProgress.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dbcore.retention.archives import Manifest, Shelf
from dbcore.retention.archives.keyring import KeyRing
from dbcore.retention.errors import NotProven, NotThawed, RetentionError
from dbcore.tables import Tier
from tests.support.archives import (
    PLANS,
    Bucket,
    draft_of,
    plans,
    storage_of_settings,
    use_bucket,
)
from tests.support.proxy import Answer, Call, DropAfter, FaultProxy, make_answer


def cold(shelf: Shelf, days: int = 1095) -> Manifest:
    policy = {"days": days, "since": ["updated_at"], "tier": "cold"}
    return shelf.write(draft_of(tier=Tier.COLD, policy=policy), PLANS, plans())


def key_of(manifest: Manifest) -> str:
    return f"kept/{manifest.object_name}"


# --- Thawing ------------------------------------------------------------------------------------


@contextmanager
def slow_thawing(bucket: Bucket) -> Iterator[None]:
    """moto's thawing takes its time: it is done when its state has been asked for so often."""

    def tell(path: str, value: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"{bucket.endpoint}/moto-api/state-manager/{path}", json.dumps(value).encode()
        )
        urllib.request.urlopen(request).close()

    model = {"model_name": "s3::keyrestore"}
    tell("set-transition", {**model, "transition": {"progression": "manual", "times": 4}})
    try:
        yield
    finally:
        tell("unset-transition", model)


@pytest.mark.parametrize(("days", "how_long"), [(1095, "3 to 5 hours"), (3650, "up to 12 hours")])
def test_a_frozen_archive_is_thawed_once_and_then_opens(
    cloud: Shelf, archive_bucket: Bucket, settings: Any, days: int, how_long: str
) -> None:
    manifest = cold(cloud, days)
    cloud.settle(manifest)
    assert cloud.facts(manifest).frozen
    with slow_thawing(archive_bucket), FaultProxy(archive_bucket.endpoint) as proxy:
        methods = watched(proxy)
        shelf = use_bucket(settings, archive_bucket, endpoint_url=proxy.endpoint)
        with pytest.raises(NotThawed) as found:
            shelf.open(manifest, PLANS)
        assert str(found.value) == (
            f"{manifest.object_name} is in a Glacier class: S3 was asked to thaw it; that takes "
            f"{how_long}, and it can be read for 7 days then. Run the same command again then."
        )
        with pytest.raises(NotThawed, match=f"is thawing it, as it was asked before.*{how_long}"):
            shelf.open(manifest, PLANS)
        assert methods.count("POST") == 1
    head = archive_bucket.head(key_of(manifest))
    while 'ongoing-request="true"' in head["Restore"]:
        head = archive_bucket.head(key_of(manifest))
    assert cloud.open(manifest, PLANS) == plans()
    assert not cloud.facts(manifest).frozen
    assert head["StorageClass"] == ("GLACIER" if days == 1095 else "DEEP_ARCHIVE")


def watched(proxy: FaultProxy) -> list[str]:
    """The methods of the requests through a proxy, as they come."""
    methods: list[str] = []

    def watch(call: Call) -> None:
        methods.append(call.request.method)

    proxy.set_faults(watch)
    return methods


def test_asking_twice_at_the_same_time_is_told_as_asked_before(
    cloud: Shelf, archive_bucket: Bucket, settings: Any
) -> None:
    """S3's RestoreAlreadyInProgress, which moto does not know."""
    manifest = cold(cloud)
    cloud.settle(manifest)
    refusal = refusing(409, "RestoreAlreadyInProgress", "POST")
    with FaultProxy(archive_bucket.endpoint, [refusal]) as proxy:
        shelf = use_bucket(settings, archive_bucket, endpoint_url=proxy.endpoint)
        with pytest.raises(NotThawed, match="as it was asked before"):
            shelf.open(manifest, PLANS)


# --- An S3 that fails ---------------------------------------------------------------------------


def refusing(status: int, code: str, *methods: str) -> Callable[[Call], Answer | None]:
    """S3's error for requests of these methods."""
    text = f"<Error><Code>{code}</Code><Message>injected</Message></Error>"

    def refuse(call: Call) -> Answer | None:
        if call.request.method not in methods:
            return None
        return make_answer(status, text.encode(), {"Content-Type": "application/xml"})

    return refuse


def at_most(times: int, refusal: Callable[[Call], Answer | None]) -> Callable[[Call], Any]:
    left = [times]

    def refuse(call: Call) -> Answer | None:
        if left[0] == 0:
            return None
        answer = refusal(call)
        left[0] -= answer is not None
        return answer

    return refuse


def test_errors_that_pass_are_retried(
    archive_bucket: Bucket, settings: Any, no_delay: None
) -> None:
    faults = [
        at_most(2, refusing(500, "InternalError", "PUT")),
        at_most(2, refusing(503, "SlowDown", "GET")),
    ]
    with FaultProxy(archive_bucket.endpoint, faults) as proxy:
        shelf = use_bucket(settings, archive_bucket, endpoint_url=proxy.endpoint)
        manifest = shelf.write(draft_of(), PLANS, plans())
        assert shelf.prove(manifest, PLANS, plans()) == plans()
        assert proxy.counts["refuse"] == 4


@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD"])
def test_errors_that_stay_are_told_with_the_object(
    cloud: Shelf,
    archive_bucket: Bucket,
    settings: Any,
    no_delay: None,
    method: str,
) -> None:
    manifest = cloud.write(draft_of(), PLANS, plans())
    act: dict[str, Callable[[Shelf], Any]] = {
        "PUT": lambda shelf: shelf.write(draft_of(), PLANS, plans()),
        "GET": lambda shelf: shelf.open(manifest, PLANS),
        "HEAD": lambda shelf: shelf.settle(manifest),
    }
    with FaultProxy(archive_bucket.endpoint, [refusing(500, "InternalError", method)]) as proxy:
        shelf = use_bucket(settings, archive_bucket, endpoint_url=proxy.endpoint)
        with pytest.raises(RetentionError, match=r"plans/.*: the storage failed: .*500|Internal"):
            act[method](shelf)
        assert proxy.counts["refuse"] == 5
    assert list(cloud.manifests()) == [manifest]


def test_a_put_whose_answer_was_lost_is_known_for_ones_own(
    archive_bucket: Bucket, settings: Any
) -> None:
    """The second try is refused, since the first one's object is there: it is the same one."""
    with FaultProxy(archive_bucket.endpoint, [DropAfter(times=1)]) as proxy:
        shelf = use_bucket(settings, archive_bucket, endpoint_url=proxy.endpoint)
        manifest = shelf.write(draft_of(), PLANS, plans())
        assert proxy.counts["DropAfter"] == 1
        assert shelf.prove(manifest, PLANS, plans()) == plans()


def test_a_body_that_breaks_off_is_a_failure_not_a_torn_archive(
    cloud: Shelf, archive_bucket: Bucket, settings: Any
) -> None:
    manifest = cloud.write(draft_of(), PLANS, plans())

    def cut(call: Call) -> Answer:
        message = call.proceed().message
        assert message is not None
        if call.request.method != "GET":
            return Answer(message)
        half = type(message)(message.head, message.body[: len(message.body) // 2])
        return Answer(half, close=True)

    with FaultProxy(archive_bucket.endpoint, [cut]) as proxy:
        shelf = use_bucket(settings, archive_bucket, endpoint_url=proxy.endpoint)
        with pytest.raises(RetentionError, match="the storage failed") as found:
            shelf.open(manifest, PLANS)
        assert not isinstance(found.value, NotProven)


# --- Keys that change ---------------------------------------------------------------------------


def test_a_frozen_archive_is_wrapped_anew_without_thawing_it(
    cloud: Shelf, archive_bucket: Bucket
) -> None:
    manifest = cold(cloud)
    cloud.settle(manifest)
    keys = {"new": b"n" * 32, "test": b"for tests only, never a secret!!"}
    new = Shelf(storage_of_settings(), KeyRing(keys)).rewrap(manifest)
    assert new.encryption.key_id == "new"
    assert archive_bucket.names() == [key_of(manifest), f"kept/{new.manifest_name}"]
    assert archive_bucket.head(key_of(manifest))["StorageClass"] == "GLACIER"
