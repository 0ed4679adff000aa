"""What is known of names: the layer's own, AWS's, an earlier backend's, and mistyped ones."""

from __future__ import annotations

import pytest

from dbcore.configuration import DBCORE, WrongConfiguration, read
from dbcore.configuration.aws import EVERYWHERE, NOT_DYNAMODB, NOWHERE, keys_set, variables_set
from settings.variables import ALL

# The names of the earlier backend's `.env` files.
EARLIER = [
    "NODE_ENV",
    "DATABASE_PRIMARY",
    "AWS_REGION",
    "DYNAMODB_ENDPOINT",
    "DB_METRICS_ENABLED",
    "DB_ALERTS_ENABLED",
    "MIGRATE_FROM_SQLITE",
    "ALERT_EMAIL",
    "ALERT_SLACK_WEBHOOK",
    "ALERT_SNS_TOPIC",
    "ALERT_PAGERDUTY_KEY",
    "APP_CACHE_SIZE",
    "APP_CACHE_TTL",
    "ARCHIVE_GLACIER_VAULT",
    "ARCHIVE_S3_BUCKET",
    "AUTO_ROLLBACK",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "CONNECTION_POOLING",
    "DB_ANALYZE_FREQUENCY",
    "DB_AUTO_INDEX",
    "DB_BACKGROUND_INDEX",
    "DB_BACKUP_RETENTION_DAYS",
    "DB_BATCH_SIZE",
    "DB_CLOUDWATCH_INTEGRATION",
    "DB_COMPACT_THRESHOLD",
    "DB_CONNECTION_TIMEOUT",
    "DB_CONN_THRESHOLD",
    "DB_CONTINUOUS_BACKUP",
    "DB_CPU_THRESHOLD",
    "DB_CROSS_REGION_BACKUP",
    "DB_CROSS_REGION_REPLICATION",
    "DB_DISK_THRESHOLD",
    "DB_ENCRYPTION_AT_REST",
    "DB_ENCRYPTION_IN_TRANSIT",
    "DB_ERROR_THRESHOLD",
    "DB_IAM_AUTH",
    "DB_KEY_ROTATION",
    "DB_LATENCY_THRESHOLD",
    "DB_LOG_AGGREGATION",
    "DB_LOG_LEVEL",
    "DB_LOG_RETENTION",
    "DB_METRICS_INTERVAL",
    "DB_METRICS_RETENTION",
    "DB_NETWORK_ISOLATION",
    "DB_PARALLEL_READS",
    "DB_PERFORMANCE_INSIGHTS",
    "DB_PITR_ENABLED",
    "DB_QUERY_TIMEOUT",
    "DB_READ_REPLICAS",
    "DB_REPLICATION_ENABLED",
    "DB_SLOW_QUERY_LOG",
    "DB_STRUCTURED_LOGGING",
    "DB_VPC_ENABLED",
    "DEPLOYMENT_STRATEGY",
    "DYNAMODB_MAX_RETRIES",
    "DYNAMODB_RETRY_BASE",
    "ENABLE_MULTI_DB",
    "MEMCACHED_ENABLED",
    "MEMCACHED_SERVERS",
    "MEMCACHED_TTL",
    "MIGRATION_LOCK_TIMEOUT",
    "MONGODB_IDLE_TIMEOUT",
    "MONGODB_POOL_MIN",
    "MONGODB_POOL_SIZE",
    "MONGODB_SERVER_TIMEOUT",
    "MONGODB_URI",
    "POSTGRES_ACQUIRE_TIMEOUT",
    "POSTGRES_DB",
    "POSTGRES_HOST",
    "POSTGRES_IDLE_TIMEOUT",
    "POSTGRES_PASSWORD",
    "POSTGRES_POOL_MAX",
    "POSTGRES_POOL_MIN",
    "POSTGRES_PORT",
    "POSTGRES_SSL",
    "POSTGRES_USER",
    "RDS_CLUSTER_ARN",
    "RDS_DATABASE",
    "RDS_SECRET_ARN",
    "REDIS_CLUSTER",
    "REDIS_ENABLED",
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_TTL",
    "ROLLBACK_HEALTH_CHECK",
    "ROLLBACK_TIMEOUT",
]


@pytest.mark.parametrize("name", EARLIER)
def test_each_earlier_name_is_honoured_or_named_with_what_replaces_it(name: str) -> None:
    if name in ALL.names:
        return
    if name.startswith("AWS_"):
        (found,) = variables_set({name: "x"})
        assert found.honoured == EVERYWHERE
        return
    (notice,) = read(ALL, "development", {name: "hunter2"}).notices
    assert notice.name == name and notice.text.startswith(f"{name} (environment) is not read: ")
    assert "hunter2" not in notice.text


def test_what_replaces_an_earlier_name_is_a_name_that_is_read() -> None:
    for name, text in ALL.retired.items():
        assert name not in ALL.names
        named = {word.strip("():;,.=") for word in text.split() if "_" in word and word.isupper()}
        assert named <= set(ALL.names), (name, named - set(ALL.names))


def test_the_alert_channels_have_the_names_of_the_design() -> None:
    found = read(
        ALL, "development",
        {
            "ALERT_EMAIL": "a@b.internal,c@d.internal",
            "ALERT_SLACK_WEBHOOK": "https://hooks.slack.com/services/T/B/x",
            "ALERT_SNS_TOPIC": "arn:aws:sns:eu-central-1:123456789012:oncall",
        },
    )  # fmt: skip
    assert found["ALERT_EMAIL"] == ["a@b.internal", "c@d.internal"]
    assert not found.notices


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ALERT_EMAIL_TO", "ALERT_EMAIL"),
        ("RETENTION_DAY", "RETENTION_DAYS"),
        ("DYNAMODB_REIGON", "DYNAMODB_REGION"),
        ("DB_ERROR_TRESHOLD", "DB_ERROR_THRESHOLD"),
        ("ARCHIVE_S3_BUCKETS", "ARCHIVE_S3_BUCKET"),
    ],
)
def test_a_name_that_looks_like_ours_is_named_with_the_one_that_may_be_meant(
    name: str, meant: str
) -> None:
    (notice,) = read(ALL, "development", {name: "x"}, origins={name: ".env"}).notices
    assert notice.text == f"{name} (.env) is no variable that anything reads: is {meant} meant?"


def test_names_of_others_are_nobodys_business() -> None:
    given = {"PATH": "/bin", "DJANGO_SETTINGS_MODULE": "x", "DJANGO_SUPERUSER_PASSWORD": "x"}
    assert not read(ALL, "development", given).notices


@pytest.mark.parametrize(
    ("given", "region"),
    [
        ({"AWS_REGION": "us-east-1"}, "us-east-1"),
        ({"AWS_DEFAULT_REGION": "us-east-1"}, "us-east-1"),
        ({"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}, "us-east-1"),
        ({"DYNAMODB_REGION": "", "AWS_REGION": "us-gov-west-1"}, "us-gov-west-1"),
        ({"DYNAMODB_REGION": " 'cn-north-1' ", "AWS_REGION": "cn-north-1"}, "cn-north-1"),
        ({}, "eu-central-1"),
    ],
)
def test_the_region_is_that_of_aws_where_no_region_of_ours_is_set(
    given: dict[str, str], region: str
) -> None:
    found = read(DBCORE, "development", given)
    assert found["DYNAMODB_REGION"] == region
    assert not found.notices


def test_two_different_regions_are_named() -> None:
    given = {"DYNAMODB_REGION": "eu-central-1", "AWS_REGION": "us-east-1"}
    found = read(DBCORE, "development", given)
    assert found["DYNAMODB_REGION"] == "eu-central-1"
    assert [each.text for each in found.notices] == [
        "DYNAMODB_REGION=eu-central-1, AWS_REGION=us-east-1: they differ, and DYNAMODB_REGION "
        "counts"
    ]


def test_a_region_of_awss_that_is_none_is_refused_by_its_own_name() -> None:
    with pytest.raises(WrongConfiguration, match="AWS_REGION is 'Frankfurt'; it must be a region"):
        read(DBCORE, "development", {"AWS_REGION": "Frankfurt"})


def test_what_of_awss_own_is_not_honoured_by_dynamodb_is_known() -> None:
    given = {
        "AWS_PROFILE": "p", "AWS_CA_BUNDLE": "/ca.pem", "AWS_RETRY_MODE": "standard",
        "AWS_NEW_THING": "x", "HTTPS_PROXY": "http://127.0.0.1:1", "AWS_SDK_LOAD_CONFIG": "",
        "AWS_ENDPOINT_URL_SQS": "https://sqs.internal",
    }  # fmt: skip
    found = {each.name: each.honoured for each in variables_set(given)}
    assert found == {
        "AWS_PROFILE": EVERYWHERE, "AWS_CA_BUNDLE": NOT_DYNAMODB, "AWS_RETRY_MODE": NOWHERE,
        "AWS_NEW_THING": NOWHERE, "HTTPS_PROXY": NOT_DYNAMODB, "AWS_ENDPOINT_URL_SQS": NOWHERE,
    }  # fmt: skip
    keys = {each.name: each.honoured for each in keys_set("p", {"region": "x", "role_arn": "y"})}
    assert keys == {"region": NOWHERE, "role_arn": EVERYWHERE}
