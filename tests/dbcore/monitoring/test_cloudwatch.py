"""CloudWatch, as moto serves it, has what was measured; one that is away disturbs nobody."""

from __future__ import annotations

import datetime as dt
import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import orjson
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from daylight.models import Plan
from dbcore import aws
from dbcore.local_engine import LocalEngine
from dbcore.monitoring import cloudwatch, metrics
from dbcore.monitoring.cloudwatch import MAX_BYTES, MAX_METRICS, batches, data_of
from dbcore.monitoring.labels import DYNAMODB
from dbcore.monitoring.records import PoolPeak, Window
from dbcore.monitoring.reporter import KEPT_WINDOWS, Reporter
from dbcore.monitoring.specs import FAILURES
from dbcore.monitoring.totals import Totals
from tests.dbcore.monitoring.conftest import samples
from tests.support.faults import InternalServerError
from tests.support.proxy import FaultProxy

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
TEN = Totals(
    count=10, errors=1, rows=9, capacity=5.5, throttles=2, seconds=0.2, least=0.005, worst=0.05,
    buckets={0.05: 10},
)  # fmt: skip


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    aws.client.cache_clear()
    yield
    aws.client.cache_clear()


@pytest.fixture
def served(moto_engine: LocalEngine, settings: Any, request: pytest.FixtureRequest) -> Any:
    """CloudWatch, with a namespace that no other test has."""
    settings.DB_CLOUDWATCH_INTEGRATION = True
    settings.DB_CLOUDWATCH_ENDPOINT = moto_engine.endpoint
    settings.DB_CLOUDWATCH_NAMESPACE = f"Test/{abs(hash(request.node.nodeid))}"
    return boto3.client(
        "cloudwatch", endpoint_url=moto_engine.endpoint, region_name=settings.DYNAMODB_REGION
    )


def window(count: int = 1, start: dt.datetime = NOW) -> Window:
    totals = {(DYNAMODB, f"table{at}", "GetItem"): TEN for at in range(count)}
    pools = {"dynamodb": PoolPeak("dynamodb", 3, 1, 10)}
    return Window(start, start + dt.timedelta(minutes=1), totals, pools)


def statistics(client: Any, settings: Any, metric: str, *dimensions: tuple[str, str]) -> Any:
    (found,) = client.get_metric_statistics(
        Namespace=settings.DB_CLOUDWATCH_NAMESPACE, MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions],
        StartTime=NOW - dt.timedelta(minutes=5), EndTime=NOW + dt.timedelta(minutes=5), Period=60,
        Statistics=["SampleCount", "Sum", "Average", "Minimum", "Maximum"],
    )["Datapoints"]  # fmt: skip
    return found


def test_a_window_arrives_as_statistics_of_table_and_operation(served: Any, settings: Any) -> None:
    cloudwatch.Sender().send(window())
    where = (("Table", "table0"), ("Operation", "GetItem"))
    latency = statistics(served, settings, "Latency", *where)
    assert (latency["SampleCount"], latency["Sum"], latency["Average"]) == (10, 200, 20)
    assert (latency["Minimum"], latency["Maximum"]) == (5, 50)
    assert latency["Unit"] == "Milliseconds"
    assert statistics(served, settings, "Errors", *where)["Average"] == pytest.approx(0.1)
    assert statistics(served, settings, "Throttles", *where)["Sum"] == 2
    assert statistics(served, settings, "ConsumedCapacity", *where)["Sum"] == 5.5
    assert statistics(served, settings, "Rows", *where)["Sum"] == 9
    assert statistics(served, settings, "ConnectionsUsed", ("Pool", "dynamodb"))["Maximum"] == 3


def test_more_than_one_request_holds_goes_in_several(served: Any, settings: Any) -> None:
    big = window(450)
    sent = list(batches(list(data_of(big))))
    assert len(sent) >= 3
    assert all(len(each) <= MAX_METRICS for each in sent)
    assert all(len(orjson.dumps(each)) <= MAX_BYTES for each in sent)
    assert [datum for each in sent for datum in each] == list(data_of(big))
    cloudwatch.Sender().send(big)
    listed = served.get_paginator("list_metrics").paginate(
        Namespace=settings.DB_CLOUDWATCH_NAMESPACE, MetricName="Latency"
    )
    tables = {each["Dimensions"][0]["Value"] for page in listed for each in page["Metrics"]}
    assert tables == {f"table{at}" for at in range(450)}


def test_what_cloudwatch_has_taken_of_a_window_is_not_sent_again(
    served: Any, settings: Any
) -> None:
    big = window(450)
    sender = cloudwatch.Sender()
    with FaultProxy(settings.DB_CLOUDWATCH_ENDPOINT) as proxy:
        settings.DB_CLOUDWATCH_ENDPOINT = proxy.endpoint
        proxy.set_faults(InternalServerError(skip=1))  # the first request passes
        with pytest.raises(ClientError):
            sender.send(big)
        proxy.set_faults()
        sender.send(big)
        sender.send(window(1, NOW + dt.timedelta(minutes=1)))
    where = (("Table", "table0"), ("Operation", "GetItem"))
    found = served.get_metric_statistics(
        Namespace=settings.DB_CLOUDWATCH_NAMESPACE, MetricName="Latency",
        Dimensions=[{"Name": name, "Value": value} for name, value in where],
        StartTime=NOW, EndTime=NOW + dt.timedelta(minutes=5), Period=60, Statistics=["SampleCount"],
    )["Datapoints"]  # fmt: skip
    assert sorted(each["SampleCount"] for each in found) == [10, 10], "each window once"
    last = (("Table", "table449"), ("Operation", "GetItem"))
    assert statistics(served, settings, "Latency", *last)["SampleCount"] == 10


@pytest.mark.django_db
@pytest.mark.usefixtures("measured")
def test_what_a_process_measures_is_sent_with_its_records(served: Any, settings: Any) -> None:
    metrics.renew()
    reports = Reporter(NOW)
    list(Plan.objects.all())
    reports.look()
    reports.report(NOW + dt.timedelta(minutes=1))
    where = (("Table", "plans"), ("Operation", "SELECT"))
    assert statistics(served, settings, "Latency", *where)["SampleCount"] == 1
    assert metrics.current().look() == {}


@pytest.mark.django_db
@pytest.mark.usefixtures("measured")
def test_while_cloudwatch_is_away_records_are_written_and_memory_is_bounded(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        settings.DB_CLOUDWATCH_ENDPOINT = f"http://127.0.0.1:{gone.getsockname()[1]}"
    settings.DB_CLOUDWATCH_INTEGRATION = True
    metrics.renew()
    reports = Reporter(NOW)
    with caplog.at_level(logging.WARNING, "dbcore.monitoring"):
        for at in range(KEPT_WINDOWS + 3):
            list(Plan.objects.all())
            reports.report(NOW + dt.timedelta(minutes=at + 1))
    assert (len(reports._records), len(reports._cloudwatch)) == (0, KEPT_WINDOWS)
    assert samples(FAILURES) == {("cloudwatch",): KEPT_WINDOWS + 3, ("dropped",): 3}
    (said,) = [each for each in caplog.records if "cannot be written" in each.getMessage()]
    assert said.fields["part"] == "cloudwatch"  # type: ignore[attr-defined]


@pytest.mark.django_db
@pytest.mark.usefixtures("measured")
def test_a_cloudwatch_that_never_answers_is_given_up_and_holds_up_no_query(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloudwatch, "READ_TIMEOUT", 0.5)
    given_up: list[BaseException] = []

    def send() -> None:
        try:
            cloudwatch.Sender().send(window())
        except BotoCoreError as error:
            given_up.append(error)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.DB_CLOUDWATCH_ENDPOINT = f"http://127.0.0.1:{silent.getsockname()[1]}"
        sending = threading.Thread(target=send)
        sending.start()
        with silent.accept()[0]:  # it has been sent, and nobody answers
            for _ in range(20):
                list(Plan.objects.all())
            assert sending.is_alive(), "the queries were done before it gave up"
            sending.join()
    assert [type(each).__name__ for each in given_up] == ["ReadTimeoutError"]
