"""What is worth an alert, by default and as DB_ALERT_RULES changes it; and that each alert and each
health check has its page."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from dbcore.errors import ConfigurationError
from dbcore.monitoring.alerts.rules import Metric, Rule, configured_rules, default_rules
from dbcore.monitoring.health.results import CheckResult, Status, worst
from dbcore.monitoring.readings import LastRun
from tests.dbcore.monitoring.alerts.judged import (
    CRITICAL,
    OK,
    START,
    WARNING,
    broken,
    check,
    rule_named,
    snapshot,
)

RUNBOOKS = Path(__file__).resolve().parents[4] / "docs" / "runbooks"
CHECK_NAMES = (
    "primary_store", "replicas", "tables", "indexes", "expiry_and_backups", "pool", "archives",
    "last_sweep", "last_migration", "disk", "files", "clock", "alert_channels",
)  # fmt: skip


def test_nothing_is_broken_when_nothing_was_read() -> None:
    assert broken(snapshot()) == {}


@pytest.mark.parametrize(
    ("readings", "rule", "severity"),
    [
        ({"latency_p95_ms": 501}, "high_latency", WARNING),
        ({"error_rate": 0.06}, "high_error_rate", CRITICAL),
        ({"pool_use": 0.81}, "pool_nearly_full", WARNING),
        ({"throttles": 1}, "throttling", WARNING),
        ({"last_sweep": LastRun("failed", "it failed")}, "sweep_failed", WARNING),
        ({"last_sweep": LastRun("unproven", "not proven")}, "archive_unproven", CRITICAL),
        ({"sweep_age_hours": 37}, "sweep_overdue", WARNING),
        ({"backlog_days": 8}, "retention_backlog", WARNING),
        ({"last_migration": LastRun("failed", "it failed")}, "migration_failed", WARNING),
    ],
)
def test_each_default_rule_sees_its_own_trouble_and_no_other(
    readings: dict[str, Any], rule: str, severity: Status
) -> None:
    assert broken(snapshot(**readings)) == {(rule, ""): severity}


def test_what_is_as_it_should_be_breaks_no_rule() -> None:
    well = snapshot(
        latency_p95_ms=500, error_rate=0.05, pool_use=0.8, throttles=0, sweep_age_hours=36,
        backlog_days=7, last_sweep=LastRun("completed", ""), last_migration=LastRun("", ""),
        primary_store=OK, failing_channels={"slack": ""},
    )  # fmt: skip
    assert broken(well) == {}


def test_each_check_and_each_channel_is_a_subject_of_its_own() -> None:
    readings = snapshot(disk=WARNING, archives=CRITICAL, failing_channels={"slack": "404"})
    assert broken(readings) == {
        ("unhealthy_check", "disk"): WARNING,
        ("unhealthy_check", "archives"): CRITICAL,
        ("channel_failing", "slack"): WARNING,
    }


def test_what_is_of_one_host_is_not_mixed_with_another_hosts() -> None:
    readings = snapshot()
    found = broken(
        type(readings)(
            at=START, checks=(check("disk", CRITICAL, "web1"), check("disk", OK, "web2"))
        )
    )
    assert found == {("unhealthy_check", "disk on web1"): CRITICAL}


def test_settings_change_switch_off_and_add_rules(settings: Any) -> None:
    settings.DB_ALERT_RULES = json.dumps({
        "high_latency": {"threshold": 800, "for_seconds": 300, "severity": "critical"},
        "throttling": None,
        "very_slow": {"metric": "latency_p95_ms", "comparison": ">=", "threshold": 5000},
    })  # fmt: skip
    rules = {rule.name: rule for rule in configured_rules()}
    changed = rules["high_latency"]
    assert (changed.threshold, changed.for_seconds, changed.severity) == (800, 300, CRITICAL)
    assert changed.cooldown_seconds == rule_named("high_latency").cooldown_seconds
    assert "throttling" not in rules
    assert rules["very_slow"].metric is Metric.LATENCY_P95_MS
    assert rules["very_slow"].severity is WARNING
    assert rules["very_slow"].runbook == "high_latency"
    assert set(rules) == {r.name for r in default_rules()} - {"throttling"} | {"very_slow"}


def test_thresholds_of_the_environment_are_those_of_the_rules(settings: Any) -> None:
    settings.DB_LATENCY_THRESHOLD, settings.DB_ERROR_THRESHOLD = 250.0, 0.01
    settings.DB_CONN_THRESHOLD = 0.5
    rules = {rule.name: rule.threshold for rule in configured_rules()}
    assert (rules["high_latency"], rules["high_error_rate"], rules["pool_nearly_full"]) == (
        250.0, 0.01, 0.5,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("{", "DB_ALERT_RULES is not JSON"),
        ("[1]", "must be an object of rules by name"),
        ({"no_such": None}, "'no_such', which is no rule; there are: high_latency"),
        ({"Bad Name": {}}, "'Bad Name' is no name"),
        ({"high_latency": 5}, "'high_latency' must be null or an object"),
        ({"high_latency": {"treshold": 5}}, "with some of: metric, comparison, threshold"),
        ({"high_latency": {"threshold": "5"}}, "threshold of rule 'high_latency' is '5'"),
        ({"high_latency": {"threshold": True}}, "it must be a number from 0 up"),
        ({"high_latency": {"for_seconds": -1}}, "for_seconds of rule 'high_latency' is -1"),
        ({"high_latency": {"severity": "healthy"}}, "one of ['warning', 'critical']"),
        ({"high_latency": {"comparison": "=>"}}, "one of ['>', '>=', '<', '<=']"),
        ({"high_latency": {"metric": "mood"}}, "one of ['latency_p95_ms'"),
        ({"high_latency": {"runbook": "a b"}}, "the name of a page"),
        ({"mine": {"metric": "error_rate"}}, "must also say: comparison, threshold"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_name_and_field(
    given: Any, words: str, settings: Any
) -> None:
    settings.DB_ALERT_RULES = given
    with pytest.raises(ConfigurationError) as refused:
        configured_rules()
    assert words in str(refused.value)
    assert "DB_ALERT_RULES" in str(refused.value)


@pytest.mark.parametrize(
    "page", [*CHECK_NAMES, *(rule.runbook for rule in default_rules() if rule.runbook)]
)
def test_each_default_rule_and_each_check_has_its_page(page: str) -> None:
    text = (RUNBOOKS / f"{page}.md").read_text()
    for heading in ("## What it means", "## What to look at", "## What to do"):
        assert heading in text
    assert "manage.py" in text


def prometheus_pages() -> dict[str, str]:
    """The page of each alert of the example rules."""
    text = (RUNBOOKS.parent / "prometheus" / "rules.yml").read_text()
    found = {}
    for rule in text.split("- alert: ")[1:]:
        page = re.search(r'runbook_url: "https://runbooks\.daylight\.example/(\w+)"', rule)
        found[rule.split()[0]] = page[1] if page else ""
    return found


def test_each_alert_of_prometheus_has_its_page() -> None:
    pages = prometheus_pages()
    assert len(pages) == 6
    listed = (RUNBOOKS / "README.md").read_text()
    for alert, page in pages.items():
        text = (RUNBOOKS / f"{page}.md").read_text()
        assert "## What to do" in text and "manage.py" in text, alert
        assert f"({page}.md)" in listed


def test_no_page_is_of_nothing() -> None:
    known = {*CHECK_NAMES, *(rule.runbook for rule in default_rules() if rule.runbook)}
    known |= set(prometheus_pages().values())
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"} == known


def row(rule: Rule) -> str:
    """A rule as its line in docs/alerts.md."""
    page = f"runbooks/{rule.runbook or 'README'}.md"
    severity = rule.severity or "the check's"
    return (
        f"| [{rule.name}]({page}) | `{rule.metric}` {rule.comparison} {rule.threshold:g} "
        f"| {span(rule.for_seconds)} | {severity} | {span(rule.cooldown_seconds)} |"
    )


def span(seconds: float) -> str:
    return f"{seconds / 60:g} min" if seconds else "–"


def test_the_table_of_rules_is_that_of_the_code() -> None:
    document = RUNBOOKS.parent / "alerts.md"
    begin, end = "<!-- rules: made from the code, UPDATE_DOCS=1 make test -->", "<!-- end of rules"
    head = "| rule | broken while | for | severity | cooldown |\n|---|---|---|---|---|\n"
    table = head + "\n".join(map(row, default_rules())) + "\n"
    before, _, rest = document.read_text().partition(begin)
    found, _, after = rest.partition(end)
    if os.environ.get("UPDATE_DOCS"):
        document.write_text(f"{before}{begin}\n{table}{end}{after}")
        found = f"\n{table}"
    assert found == f"\n{table}", "docs/alerts.md is old: UPDATE_DOCS=1 make test"
    for metric in Metric:
        assert f"`{metric}`" in after, f"docs/alerts.md does not name the metric {metric}"


def test_the_worst_status_counts() -> None:
    assert worst([]) is OK
    assert worst([OK, CRITICAL, WARNING]) is CRITICAL
    assert [status.rank for status in (OK, WARNING, CRITICAL)] == [0, 1, 2]
    assert isinstance(check("disk", OK), CheckResult)
