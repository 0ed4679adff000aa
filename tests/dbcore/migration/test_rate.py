"""How fast a migration writes: simulated minutes for the rate, and a real server for what a flow
makes of it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbcore.addresses import parse_endpoint
from dbcore.migration.errors import MigrationError
from dbcore.migration.flow import MAX_ATTEMPTS, MAX_BYTES, Flow
from dbcore.migration.rate import CUT, CUT_PAUSE, FLOOR, Rate, UnitModel, units_of
from dbcore.wire import Completion, Wire
from tests.dbcore.wire.server import Server, dynamodb, in_turn

START = 1000.0  # monotonic seconds


class Simulation:
    """Writes that are sent as soon as the rate allows, in time that costs none."""

    def __init__(self, rate: Rate, now: float = START) -> None:
        self.rate = rate
        self.now = now
        self.taken = 0.0

    def write(self, units: float) -> float:
        pause = self.rate.wait_for(units, now=self.now)
        self.now += pause
        self.taken += units
        return pause

    def run(self, seconds: float, units: Callable[[], float], each: float = 0.001) -> float:
        """Units a second over this time; a write itself takes `each` seconds."""
        started, before = self.now, self.taken
        while self.now < started + seconds:
            self.write(units())
            self.now += each
        return (self.taken - before) / (self.now - started)


def test_without_a_limit_nothing_ever_waits() -> None:
    simulation = Simulation(Rate(now=START))
    assert simulation.rate.current is None
    assert {simulation.write(25.0) for _ in range(1000)} == {0.0}
    assert simulation.now == START


@pytest.mark.parametrize("limit", [7.0, 100.0, 2500.0])
@pytest.mark.parametrize("largest", [1.0, 25.0, 400.0])
def test_a_limit_is_kept_over_the_minutes_whatever_the_size_of_the_writes(
    limit: float, largest: float
) -> None:
    draw = random.Random(5)
    simulation = Simulation(Rate(limit, now=START))
    taken = simulation.run(600.0, lambda: draw.uniform(1.0, largest), each=0.0001)
    assert taken == pytest.approx(limit, rel=0.03)


@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(1.0, 50.0)), min_size=1, max_size=60))
def test_no_stretch_of_time_takes_more_than_the_limit_and_a_quarter_of_a_second(
    writes: list[tuple[float, float]],
) -> None:
    limit = 40.0
    simulation = Simulation(Rate(limit, now=START))
    sent: list[tuple[float, float]] = []
    for idle, units in writes:
        simulation.now += idle
        simulation.write(units)
        sent.append((simulation.now, units))
    for first in range(len(sent)):
        for last in range(first, len(sent)):
            # A write is sent when what it takes is there, so the first of a stretch is for free.
            later = sum(units for _, units in sent[first + 1 : last + 1])
            assert later <= limit * (sent[last][0] - sent[first][0] + 0.25) + 1e-6


def test_a_pause_in_the_work_is_not_made_up_for() -> None:
    simulation = Simulation(Rate(100.0, now=START))
    simulation.run(10.0, lambda: 1.0)
    simulation.now += 3600.0
    burst = 0
    while simulation.write(1.0) == 0.0:
        burst += 1
    assert burst <= 25  # a quarter of a second


def test_a_writer_slower_than_the_limit_never_waits() -> None:
    simulation = Simulation(Rate(100.0, now=START))
    simulation.now += 1.0
    for _ in range(200):
        assert simulation.write(1.0) == 0.0
        simulation.now += 0.02


def test_a_throttled_answer_cuts_what_was_being_taken_and_it_grows_again() -> None:
    simulation = Simulation(Rate(now=START))
    simulation.run(10.0, lambda: 1.0, each=0.002)  # 500 units a second
    simulation.rate.throttled(now=simulation.now)
    cut = simulation.rate.current
    assert cut == pytest.approx(CUT * 500.0, rel=0.02)

    rates = [simulation.run(2.0, lambda: 1.0, each=0.0001) for _ in range(10)]
    assert cut is not None
    assert cut <= rates[0] < 1.3 * cut  # what had been saved up, and two seconds' growth
    assert rates == sorted(rates)
    assert rates[-1] > 2 * rates[0]


def test_the_cut_is_from_the_limit_where_that_is_lower() -> None:
    simulation = Simulation(Rate(50.0, now=START))
    simulation.run(10.0, lambda: 1.0)
    simulation.rate.throttled(now=simulation.now)
    assert simulation.rate.current == pytest.approx(CUT * 50.0, rel=0.03)


def test_growing_never_passes_the_limit() -> None:
    simulation = Simulation(Rate(50.0, now=START))
    simulation.rate.throttled(now=START)
    simulation.run(50.0, lambda: 1.0)
    assert simulation.rate.current == 50.0
    assert simulation.run(600.0, lambda: 1.0) == pytest.approx(50.0, rel=0.03)


def test_throttled_answers_of_one_moment_are_one_event() -> None:
    simulation = Simulation(Rate(now=START))
    simulation.run(5.0, lambda: 1.0, each=0.001)
    rate, now = simulation.rate, simulation.now
    rate.throttled(now=now)
    once = rate.current
    for n in range(40):
        rate.throttled(now=now + CUT_PAUSE * n / 41)
    assert rate.current == once
    assert rate.throttles == 41


def test_throttling_that_goes_on_cuts_again_and_again_down_to_the_floor() -> None:
    simulation = Simulation(Rate(now=START))
    simulation.run(5.0, lambda: 1.0, each=0.001)
    rates: list[float] = []
    for _ in range(30):
        simulation.rate.throttled(now=simulation.now)
        rates.append(simulation.rate.current or 0.0)
        simulation.run(CUT_PAUSE + 0.1, lambda: 1.0)
    assert rates[1] < rates[0]
    assert rates[-1] < rates[0] / 10
    assert min(rates) >= FLOOR


def test_throttling_before_anything_was_measured_leaves_something_to_go_on_with() -> None:
    rate = Rate(now=START)
    rate.throttled(now=START)
    assert rate.current is not None
    assert rate.current >= FLOOR
    assert rate.wait_for(1.0, now=START) <= 1.0


def test_after_a_minute_without_throttling_nothing_is_held_back_any_more() -> None:
    simulation = Simulation(Rate(now=START))
    simulation.run(5.0, lambda: 1.0, each=0.001)
    simulation.rate.throttled(now=simulation.now)
    simulation.run(50.0, lambda: 1.0)
    assert simulation.rate.current is not None
    simulation.run(15.0, lambda: 1.0)
    assert simulation.rate.current is None


def test_a_table_that_takes_so_much_is_used_well_and_not_run_down() -> None:
    """A target that refuses what is above 1000 units in any second."""
    simulation = Simulation(Rate(now=START))
    second, in_second = 0, 0.0
    accepted = refused = 0.0
    while simulation.now < START + 120.0:
        simulation.write(10.0)
        simulation.now += 0.001
        if int(simulation.now) != second:
            second, in_second = int(simulation.now), 0.0
        if in_second + 10.0 > 1000.0:
            refused += 10.0
            simulation.rate.throttled(now=simulation.now)
        else:
            in_second += 10.0
            accepted += 10.0
    assert accepted / 120.0 > 650.0
    assert refused < accepted / 5


def test_estimates_begin_with_the_indexes_and_learn_what_requests_really_take() -> None:
    rate = Rate(now=START)
    plain, indexed = UnitModel(0), UnitModel(2)
    assert plain.estimate(25, 100) == 25.0  # DynamoDB takes no less than one an item
    assert plain.estimate(1, 10 * 1024) == pytest.approx(10.0)
    assert indexed.estimate(1, 10 * 1024) == pytest.approx(30.0)
    assert UnitModel(0, transactional=True).estimate(1, 10 * 1024) == pytest.approx(20.0)
    for _ in range(100):
        plain.settle(rate, {"ConsumedCapacity": {"CapacityUnits": 40.0}}, 40.0, 10 * 1024)
    assert plain.estimate(1, 10 * 1024) == pytest.approx(40.0, rel=0.01)
    assert plain.estimate(1, 5 * 1024) == pytest.approx(20.0, rel=0.01)


def test_what_an_answer_does_not_tell_teaches_nothing_and_costs_nothing() -> None:
    rate = Rate(10.0, now=START)
    model = UnitModel(0)
    before = model.estimate(1, 10 * 1024)
    model.settle(rate, {}, 5.0, 5000)
    assert model.estimate(1, 10 * 1024) == before
    assert rate.wait_for(0.0, now=START) == 0.0


def test_what_a_request_took_beyond_its_estimate_is_waited_for() -> None:
    rate = Rate(10.0, now=START)
    model = UnitModel(0)
    assert rate.wait_for(5.0, now=START) == pytest.approx(0.5)
    model.settle(rate, {"ConsumedCapacity": [{"CapacityUnits": 25.0}]}, 5.0, 0)
    assert rate.wait_for(5.0, now=START + 0.5) == pytest.approx(2.5)
    model.settle(rate, {"ConsumedCapacity": {"CapacityUnits": 1.0}}, 5.0, 0)
    assert rate.wait_for(0.0, now=START + 0.5) == pytest.approx(2.1)


# --- A flow at a rate -----------------------------------------------------------------------------


class Watched(Rate):
    """A rate that writes down the pauses it asks for."""

    pauses: list[float]

    def wait_for(self, units: float, *, now: float | None = None) -> float:
        pause = super().wait_for(units, now=now)
        self.pauses = [*getattr(self, "pauses", []), pause]
        return pause


def test_a_flow_keeps_to_its_pauses_while_answers_come_in() -> None:
    rate = Watched(50.0)
    handled: list[Completion] = []
    with Server(in_turn(dynamodb({}))) as server:
        wire = Wire(parse_endpoint(server.endpoint), "eu-central-1")
        flow = Flow(wire, 4, rate)
        for _ in range(40):
            flow.write("PutItem", "t", b"{}", handled.append, 1.0)
        flow.drain()
        flow.close()
        wire.close()
    assert len(handled) == 40
    # Each pause was waited out, so that no write finds more than its own share still to wait for.
    assert max(rate.pauses) <= 1.0 / 50.0 + 1e-6


def test_a_flow_handles_each_request_once_and_those_that_handlers_add(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handled: list[int] = []
    ticks: list[float] = []

    def handler(n: int) -> Callable[[Completion], None]:
        def handle(completion: Completion) -> None:
            assert completion.error is None
            handled.append(n)
            if n < 100:
                flow.enqueue("PutItem", "t", b"{}", handler(n + 100), 0.01 * (n % 3))

        return handle

    with Server(in_turn(dynamodb({}))) as server:
        wire = Wire(parse_endpoint(server.endpoint), "eu-central-1")
        flow = Flow(wire, 5, Rate(), lambda: ticks.append(time.monotonic()))
        for n in range(100):
            flow.submit("PutItem", "t", b"{}", handler(n))
        flow.drain()
        assert not flow.busy
        assert server.connections <= 5
        assert len(server.requests) == 200
        flow.close()
        wire.close()
    assert sorted(handled) == list(range(200))
    assert len(ticks) >= 100


def test_throttled_and_unprocessed_requests_slow_a_flow_down() -> None:
    rate = Rate()
    handled: list[Completion] = []
    refusal = dynamodb({"__type": "x#ThrottlingException"}, status=400)
    with Server(in_turn(refusal, dynamodb({}))) as server:
        wire = Wire(parse_endpoint(server.endpoint), "eu-central-1")
        flow = Flow(wire, 2, rate)
        flow.write("PutItem", "t", b"{}", handled.append, 1.0)
        flow.drain()
        assert rate.throttles == 1
        flow.retry(0, "PutItem", "t", b"{}", handled.append)
        flow.drain()
        flow.close()
        wire.close()
    assert rate.throttles == 2
    assert rate.current is not None
    assert [each.error for each in handled] == [None, None]


def test_a_request_that_is_never_done_ends_the_pass_with_an_error() -> None:
    with Server(in_turn(dynamodb({}))) as server:
        wire = Wire(parse_endpoint(server.endpoint), "eu-central-1")
        flow = Flow(wire, 2, Rate())
        with pytest.raises(MigrationError, match="t did not take a write"):
            flow.retry(MAX_ATTEMPTS + 1, "PutItem", "t", b"{}", lambda _: None)
        flow.close()
        wire.close()


def test_few_large_requests_are_under_way_at_once() -> None:
    body = b"x" * (MAX_BYTES // 2)
    loads: list[int] = []
    with Server(in_turn(dynamodb({}))) as server:
        wire = Wire(parse_endpoint(server.endpoint), "eu-central-1")
        flow = Flow(wire, 8, Rate())
        for _ in range(6):
            flow.write("PutItem", "t", body, lambda _: None, 1.0)
            loads.append(flow._bytes)
        flow.drain()
        flow.close()
        wire.close()
        assert len(server.requests) == 6
    assert max(loads) <= 2 * MAX_BYTES
    assert flow._bytes == 0


def test_what_a_tick_raises_ends_the_pass() -> None:
    def tick() -> None:
        if len(server.requests) >= 3:
            raise KeyboardInterrupt

    with Server(in_turn(dynamodb({}))) as server:
        wire = Wire(parse_endpoint(server.endpoint), "eu-central-1")
        flow = Flow(wire, 1, Rate(), tick)
        with pytest.raises(KeyboardInterrupt):
            for _ in range(100):
                flow.submit("PutItem", "t", b"{}", lambda _: None)
        flow.close()
        wire.close()
        assert len(server.requests) < 100


def test_units_are_added_up_over_the_tables_of_an_answer() -> None:
    assert units_of(None) == 0.0
    assert units_of({"TableName": "t", "CapacityUnits": 2.5}) == 2.5
    assert units_of([{"CapacityUnits": 2}, {"CapacityUnits": 0.5}]) == 2.5
