"""AWS, asked by the clients that the application uses: DynamoDB by the wire, the rest by boto3. One
call each, that reads and changes nothing.
"""

from __future__ import annotations

import datetime as dt
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError
from django.conf import settings
from django.core.files.storage import storages

from dbcore.addresses import parse_endpoint
from dbcore.aws import session as guarded_session
from dbcore.connecting.authorities import of_botocore, of_python
from dbcore.connecting.found import Found, Step, Trouble
from dbcore.connecting.reaching import NONE, go_directly, proxy_for, reach
from dbcore.connecting.refusals import lacks_right, without_right
from dbcore.dynamo.leases import lease_table
from dbcore.monitoring.alerts.channels.sns import region_of
from dbcore.monitoring.alerts.plain import presentable
from dbcore.monitoring.health.machine import clock_skew
from dbcore.monitoring.health.results import Status
from dbcore.monitoring.health.writes import KEY
from dbcore.wire import Wire
from dbcore.wire.answers import client_error, error_code, parse_body
from dbcore.wire.client import encode_payload

_VPC = "in a subnet without internet it takes a NAT, or a VPC endpoint of {service}"
_RUNS_OUT_SOON = dt.timedelta(hours=1)
_HOW = {
    "env": "environment variables",
    "shared-credentials-file": "the shared credentials file",
    "config-file": "the config file",
    "iam-role": "the instance's role",
    "container-role": "the task's role",
    "assume-role": "a role that the profile names",
    "assume-role-with-web-identity": "a role by web identity",
    "sso": "a sign-in by SSO",
}


class Account:
    """One botocore session for all that is asked, so that credentials are looked up once.
    Thread-safe."""

    def __init__(self) -> None:
        self.session = guarded_session()
        self._lock = threading.Lock()

    def credentials(self) -> Any:
        """Those that botocore finds; None where there are none."""
        with self._lock:
            return self.session.get_credentials()

    def client(self, service: str, region: str, endpoint: str, found: Found) -> Any:
        """A client of a service; ConfigurationError where it would speak in the clear."""
        what = f"endpoint of {service}"
        if endpoint:
            parse_endpoint(endpoint, what)
        with self._lock:
            client = self.session.create_client(
                service, region_name=region, endpoint_url=endpoint or None, config=_in_time(found)
            )
        parse_endpoint(client.meta.endpoint_url, what)  # AWS_ENDPOINT_URL may name another
        return client


def _in_time(found: Found) -> Config:
    return Config(
        connect_timeout=found.left, read_timeout=found.left, retries={"total_max_attempts": 1}
    )


def _which(endpoint: str) -> str:
    """The setting that says where a service is: that of its endpoint, or else the region."""
    return endpoint if getattr(settings, endpoint) else "DYNAMODB_REGION"


# --- DynamoDB -----------------------------------------------------------------------------------
def dynamodb(found: Found, get_wire: Callable[[], Wire]) -> None:
    """Read a row among the leases, which the application reads as well; it need not be there."""
    found.setting = _which("DYNAMODB_ENDPOINT")
    _read_item(found, get_wire(), lease_table(), KEY)


def replica(found: Found, wire: Wire, request: Mapping[str, Any]) -> None:
    """The same in another region, of a table of records, with a key that no record has. `request`:
    the table's CreateTable."""
    found.setting = "DYNAMODB_REPLICA_REGIONS"
    found.at_worst = Status.WARNING  # the others are read meanwhile
    _read_item(found, wire, request["TableName"], _no_key(request))


def _no_key(request: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {
        each["AttributeName"]: each["AttributeType"] for each in request["AttributeDefinitions"]
    }
    value = {"S": "dbcore-connect", "N": "0", "B": "AA=="}
    names = [each["AttributeName"] for each in request["KeySchema"]]
    return {name: {kinds[name]: value[kinds[name]]} for name in names}


def _read_item(found: Found, wire: Wire, table: str, key: Mapping[str, Any]) -> None:
    endpoint = wire.endpoint
    found.facts["region"], found.facts["about"] = wire.region, table
    found.hint = _VPC.format(service="DynamoDB")
    go_directly(found, endpoint.url, "the wire to DynamoDB")
    reach(found, endpoint, of_python())
    found.at(Step.CREDENTIALS)
    wire.signer.frozen_credentials()
    found.at(Step.CALL, f"{endpoint.host}:{endpoint.port}")
    body = encode_payload({"TableName": table, "Key": key})
    began, since = time.time(), time.monotonic()
    answer = wire.exchange("GetItem", body, found.until)
    found.skew = clock_skew(answer.header("date"), began, time.time())
    if answer.status == 200:
        parse_body(answer)
        found.answered(f"GetItem on {table}", since)
        return
    error = client_error("GetItem", answer, 0)
    if error_code(error) != "ResourceNotFoundException":
        raise error
    found.answered(f"GetItem; there is no table {table} yet (`manage.py sync_tables`)", since)


# --- The others -----------------------------------------------------------------------------------
def s3(found: Found, account: Account) -> None:
    """HeadBucket of the bucket of archives, by the storage that writes them."""
    found.setting, found.hint = _which("ARCHIVE_S3_ENDPOINT"), _VPC.format(service="S3")
    storage: Any = storages.create_storage(settings.STORAGES["archives"])
    bucket = found.facts["about"] = storage.bucket_name
    storage.client_config = storage.client_config.merge(_in_time(found))
    client = storage.client
    try:
        answer = _call(found, account, client, lambda: client.head_bucket(Bucket=bucket))
    except ClientError as error:
        if error_code(error) == "404":
            raise Trouble(
                f"there is no bucket {bucket}", "make it, or mend ARCHIVE_S3_BUCKET"
            ) from error
        _look_at_region(found, client, _headers(error.response))
        raise
    _look_at_region(found, client, _headers(answer))


def _look_at_region(found: Found, client: Any, headers: Mapping[str, str]) -> None:
    """boto3 follows a bucket to where it is, at one more call each time; if it may."""
    region = client.meta.region_name
    there = headers.get("x-amz-bucket-region", region)
    if there != region:
        found.warn(
            f"the bucket {found.facts['about']} is in {there}, and not in {region}",
            f"name a bucket in {region} in ARCHIVE_S3_BUCKET, or mend DYNAMODB_REGION",
        )


def sns(found: Found, account: Account) -> None:
    """GetTopicAttributes of the topic of alerts: nothing is published."""
    found.setting, found.hint = "ALERT_SNS_TOPIC", _VPC.format(service="SNS")
    topic = found.facts["about"] = settings.ALERT_SNS_TOPIC
    client = account.client("sns", region_of(topic), settings.ALERT_SNS_ENDPOINT, found)
    try:
        _call(found, account, client, lambda: client.get_topic_attributes(TopicArn=topic))
    except ClientError as error:
        if error_code(error) in ("NotFound", "NotFoundException"):
            raise Trouble(
                f"there is no topic {topic}", "make it, or mend ALERT_SNS_TOPIC"
            ) from error
        if not lacks_right(error):
            raise
        found.warn(
            without_right(error, topic),
            "sns:Publish, which alerts need, may still be allowed: `manage.py send_test_alert "
            "--channel sns` sends one",
        )


def cloudwatch(found: Found, account: Account) -> None:
    """ListMetrics of the namespace: nothing is put there."""
    found.setting, found.hint = _which("DB_CLOUDWATCH_ENDPOINT"), _VPC.format(service="monitoring")
    name = found.facts["about"] = settings.DB_CLOUDWATCH_NAMESPACE
    region, endpoint = settings.DYNAMODB_REGION, settings.DB_CLOUDWATCH_ENDPOINT
    client = account.client("cloudwatch", region, endpoint, found)
    try:
        _call(found, account, client, lambda: client.list_metrics(Namespace=name))
    except ClientError as error:
        if not lacks_right(error):
            raise
        found.warn(
            without_right(error, name),
            "cloudwatch:PutMetricData, which alone is needed, may still be allowed: see whether "
            "metrics arrive",
        )


def sts(found: Found, account: Account) -> None:
    """GetCallerIdentity, which needs no right: whose the credentials are."""
    found.setting, found.hint = "DYNAMODB_REGION", _VPC.format(service="STS")
    client = account.client("sts", settings.DYNAMODB_REGION, "", found)
    # Without it nothing fails but credentials that come from it, and those are a line of their own.
    found.at_worst = Status.WARNING
    answer = _call(found, account, client, client.get_caller_identity)
    for name, key in (("account", "Account"), ("identity", "Arn")):
        found.facts[name] = presentable(str(answer.get(key, "not told")))


def _call(
    found: Found, account: Account, client: Any, call: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Go the way to a service as its client does, and then have it make the call."""
    url = client.meta.endpoint_url
    endpoint = parse_endpoint(url)
    found.facts["region"], found.facts["proxy"] = client.meta.region_name, NONE
    reach(found, endpoint, of_botocore(account.session), proxy_for(url))
    found.at(Step.CALL, f"{endpoint.host}:{endpoint.port}")
    called: list[str] = []
    client.meta.events.register("before-call", lambda model, **_: called.append(model.name))
    began, since = time.time(), time.monotonic()
    headers: Mapping[str, str] = {}
    try:
        answer = call()
        headers = _headers(answer)
    except ClientError as error:
        headers = _headers(error.response)
        raise
    finally:
        found.skew = clock_skew(headers.get("date"), began, time.time())
    found.answered(called[0] if called else "answered", since)
    return answer


def _headers(answer: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return found


# --- Credentials ----------------------------------------------------------------------------------
def credentials(found: Found, account: Account) -> None:
    """Where botocore finds credentials, and when they run out."""
    found.setting = "AWS_PROFILE"
    found.at(Step.CREDENTIALS)
    given = account.credentials()
    if given is None:
        raise botocore.exceptions.NoCredentialsError()
    found.facts["provider"] = f"{given.method}, {_HOW.get(given.method, 'as AWS documents it')}"
    began = time.monotonic()
    try:
        frozen = given.get_frozen_credentials()
    except RuntimeError as error:  # botocore's word for those that are still old after a renewal
        raise Trouble(
            f"the credentials have expired, and there are no newer ({given.method})",
            "renew them, or give the instance, task or function a role",
        ) from error
    found.answered("found", began)
    _say_when_they_end(found, given, bool(frozen.token))


def _say_when_they_end(found: Found, given: Any, temporary: bool) -> None:
    ends = getattr(given, "_expiry_time", None)  # of those that botocore renews
    if ends is None and not temporary:
        found.facts["expires"] = "never: a long-lived key"
        return
    in_lambda = "AWS_LAMBDA_FUNCTION_NAME" in os.environ  # which gives new ones to each start
    if ends is None:
        found.facts["expires"] = "not known: a session token"
        if not in_lambda:
            found.warn(
                f"the credentials are temporary ({given.method}), and nothing renews them",
                "for a process that is to run on, give the instance or task a role instead",
            )
        return
    left = ends - dt.datetime.now(dt.UTC)
    found.facts["expires"] = f"{ends.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
    if given.method == "env" and left < _RUNS_OUT_SOON:
        found.warn(
            f"the credentials run out in {max(0, left // dt.timedelta(minutes=1))} minutes, and "
            "nothing renews environment variables",
            "for a process that is to run on, give the instance or task a role instead",
        )
    elif given.method != "env":
        found.facts["expires"] += ", renewed before"
