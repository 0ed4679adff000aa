"""Totals add up, however the calls are divided, and percentiles are right to the bucket."""

from __future__ import annotations

import json
import math
import statistics
from bisect import bisect_left
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbcore.monitoring.series import Series
from dbcore.monitoring.slow import Shape
from dbcore.monitoring.totals import BOUNDS, Totals

SECONDS = st.lists(st.floats(1e-6, 60, allow_nan=False), min_size=1, max_size=60)


def series(error: str | None = None) -> Series:
    return Series(Shape("sqlite", "plans", "SELECT"), error)


def counted(seconds: list[float], error: str | None = None) -> Totals:
    made = series(error)
    for each in seconds:
        made.add(each, 1, 0.5)
    taken = made.take()
    assert taken is not None
    return taken.totals


@given(SECONDS, SECONDS)
def test_two_processes_totals_are_those_of_one_that_did_all(
    one: list[float], other: list[float]
) -> None:
    both, together = counted(one) + counted(other), counted(one + other)
    assert both.seconds == pytest.approx(together.seconds)
    assert replace(both, seconds=0) == replace(together, seconds=0)


@given(SECONDS, st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_in_the_bucket_of_the_call_that_it_is(
    seconds: list[float], share: float
) -> None:
    found = counted(seconds).percentile(share)
    exact = sorted(seconds)[max(math.ceil(share * len(seconds)) - 1, 0)]
    bounds = (0.0, *BOUNDS, math.inf)
    at = bisect_left(BOUNDS, exact)
    assert bounds[at] <= found <= min(bounds[at + 1], max(seconds))


def test_percentiles_within_a_bucket_are_spread_evenly() -> None:
    totals = Totals(count=10, least=0.02, worst=0.05, buckets={0.05: 10})
    assert totals.p50 == pytest.approx(0.035)  # the fifth of ten
    assert totals.percentile(1.0) == 0.05
    assert Totals().p99 == 0.0


def test_calls_longer_than_all_bounds_are_bounded_by_the_worst() -> None:
    totals = counted([40.0, 50.0])
    assert totals.buckets == {math.inf: 2}
    assert 40.0 <= totals.p50 <= totals.p99 <= 50.0


@given(SECONDS)
def test_a_record_gives_back_what_was_counted(seconds: list[float]) -> None:
    failed, refused = (counted([0.1], each) for each in ("TimeoutError", "IntegrityError"))
    totals = counted(seconds) + failed + refused + Totals(retries=3, throttles=2)
    kept = json.loads(json.dumps(totals.as_json()))
    back = Totals.from_json(
        kept, count=totals.count, errors=totals.errors, rows=totals.rows, capacity=totals.capacity
    )
    assert back.buckets == totals.buckets
    assert (back.errors, back.refused, back.retries, back.throttles) == (1, 1, 3, 2)
    assert back.worst == pytest.approx(totals.worst, abs=1e-6)
    assert back.p95 == pytest.approx(totals.p95, abs=2e-6)


def test_another_versions_buckets_add_to_ours() -> None:
    ours = counted([0.004])
    theirs = Totals.from_json({"buckets": {"0.0075": 3}}, count=3, errors=0, rows=0, capacity=0.0)
    both = ours + theirs
    assert both.buckets == {0.005: 1, 0.0075: 3}
    assert both.count == 4


def test_no_call_is_lost_when_many_threads_count_and_one_takes() -> None:
    made, taken = series(), []

    def count(_: int) -> None:
        for _ in range(2000):
            made.add(0.003, 2, 0.5)

    with ThreadPoolExecutor(9) as pool:
        work = [pool.submit(count, at) for at in range(8)]
        while not all(each.done() for each in work):
            taken.append(made.take())
    total = sum((each.totals for each in [*taken, made.take()] if each), Totals())
    assert made.take() is None
    assert (total.count, total.rows, total.capacity) == (16_000, 32_000, 8000.0)
    assert total.seconds == pytest.approx(statistics.fsum([0.003] * 16_000))
