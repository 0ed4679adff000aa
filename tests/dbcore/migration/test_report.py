"""The report as programs read it, key by key, and as people do; and the exit codes."""

from __future__ import annotations

import io
import re
import uuid
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from dbcore.migration.ledger import Tally
from dbcore.migration.report import Letter, Line, Report
from tests.dbcore.migration.conftest import Migrate
from tests.dbcore.migration.legacy_file import SCHEMA, Legacy
from tests.dbcore.migration.runs import COUNTS, Project, Tables, assert_closes

NUMBER = (int, float)
CONTRACT: dict[str, Any] = {
    "run": str,
    "status": str,
    "source": str,
    "seconds": NUMBER,
    "rows_per_second": NUMBER,
    "tables": [{"source": str, "table": str, **dict.fromkeys(COUNTS, int)}],
    "dead_letters": [{"source": str, "table": str, "key": str, "reason": str}],
    "unknown": [str],
}
STATUSES = {"completed", "completed_with_dead_letters", "failed", "interrupted"}


def assert_shape(value: Any, shape: Any, at: str = "report") -> None:
    """A value has every key of a shape, each of its type; others may have been added."""
    if isinstance(shape, dict):
        assert shape.keys() <= value.keys(), at
        for name, inner in shape.items():
            assert_shape(value[name], inner, f"{at}.{name}")
    elif isinstance(shape, list):
        assert isinstance(value, list), at
        for position, each in enumerate(value):
            assert_shape(each, shape[0], f"{at}[{position}]")
    else:
        assert isinstance(value, shape) and not isinstance(value, bool), at


def assert_contract(report: dict[str, Any]) -> None:
    assert_shape(report, CONTRACT)
    assert report["status"] in STATUSES
    uuid.UUID(report["run"])
    assert_closes(report)


def test_the_contract_holds_for_every_kind_of_run(
    run: Migrate, tables: Tables, legacy: Legacy, good: Legacy
) -> None:
    good.execute("CREATE TABLE notes (id INTEGER)")
    seen = set()
    for file, options, code in (
        (legacy, {"dry_run": True}, 3),
        (legacy, {}, 3),
        (legacy, {"verify_only": True}, 3),
        (legacy, {"repair": True}, 3),
        (legacy, {"verify": False}, 3),
        (good, {"tables": ("users",)}, 2),
        (good, {"tables": ("nothing",)}, 1),
        (good, {"dry_run": True}, 0),
    ):
        report = run(file, **options)
        assert_contract({k: v for k, v in report.items() if k != "exit"})
        assert report["exit"] == code, (options, report["error"])
        seen.add((report["exit"], report["status"]))
    assert seen == {
        (3, "completed_with_dead_letters"), (2, "failed"), (1, "failed"), (0, "completed"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("tally", "error", "status", "code"),
    [
        (Tally(read=1, written=1), "", "completed", 0),
        (Tally(read=1, dead_lettered=1), "", "completed_with_dead_letters", 3),
        (Tally(read=1, unchanged=1, missing=1), "", "failed", 2),
        (Tally(read=1, unchanged=1, different=1), "", "failed", 2),
        (Tally(read=1, unchanged=1, extra=1), "", "failed", 2),
        (Tally(read=2, unchanged=1, dead_lettered=1, extra=1), "", "failed", 2),
        (Tally(read=1, unchanged=1, extra=1), "it broke", "failed", 1),
        (Tally(), "it broke", "failed", 1),
    ],
)
def test_the_worst_thing_found_is_the_exit_code(
    tally: Tally, error: str, status: str, code: int
) -> None:
    report = Report(run=str(uuid.uuid4()), source="s", target="t", error=error)
    report.lines = [Line("a", "a", Tally(read=5, written=5)), Line("b", "b", tally)]
    report.settle()
    assert (report.status, report.exit_code) == (status, code)
    assert_contract(report.as_json())


def test_standard_output_is_json_and_nothing_else(project: Project, legacy: Legacy) -> None:
    done = project.migrate(legacy.path)
    assert done.code == 3
    assert done.out.startswith("{")
    assert_contract(done.report)
    assert "stage='Copying to" in done.err
    assert "stage='Verifying" in done.err
    for table in SCHEMA:
        assert f"source_table={table} " in done.err
    quiet = project.migrate(legacy.path, "--quiet")
    assert (quiet.code, quiet.err) == (3, "")
    assert_contract(quiet.report)
    assert quiet.report["run"] != done.report["run"]
    records = {row["id"]: row for row in project.rows("migrationrun")}
    assert records.keys() == {done.report["run"], quiet.report["run"]}
    record = records[quiet.report["run"]]
    assert record["status"] == "completed_with_dead_letters"
    assert record["rows_read"] == legacy.total()
    assert (record["rows_written"], record["dead_lettered"]) == (0, len(legacy.bad))


def test_people_read_counts_reasons_and_a_verdict(project: Project, legacy: Legacy) -> None:
    legacy.execute("CREATE TABLE notes (id INTEGER)")
    done = project.migrate(legacy.path, "--quiet", json=False)
    assert (done.code, done.err) == (3, "")
    text = done.out
    assert f"from {legacy.path}" in text.replace("\n", "")
    for table in SCHEMA:
        bad = legacy.count(table) - len(legacy.good[table])
        row = next(each for each in text.splitlines() if each.strip().startswith(table))
        assert [int(n) for n in re.findall(r"\b\d+\b", row)][:3] == [
            legacy.count(table), len(legacy.good[table]), bad,
        ]  # fmt: skip
        assert row.rstrip().endswith("yes")
    assert "history → location_history" in text
    assert f"total {legacy.total()}" in re.sub(r" +", " ", text)
    assert "dead_letters replay" in text
    assert "bad-json: location is not JSON" in text
    assert f"and {len(legacy.bad) - 20} more" in text
    assert "not known here: notes" in text
    assert "Complete and verified" in text
    assert str(len(legacy.bad)) in text.splitlines()[-1]


def test_people_read_what_differs_and_what_to_do(
    run: Migrate, tables: Tables, good: Legacy, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run(good)
    tables.delete("user_profiles", userId="user-4")
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command(
            "migrate_to_dynamo", "--source", str(good.path), "--verify-only", "--quiet", stdout=out
        )
    assert ended.value.code == 2
    text = out.getvalue()
    assert "missing   user_profiles userId=user-4" in text
    assert "1 missing" in text
    assert "--repair" in text


def test_a_failure_is_told_in_both_forms(project: Project) -> None:
    told = project.migrate(project.folder / "none.sqlite3", json=False)
    assert told.code == 1
    assert "Failed" in told.out
    assert "none.sqlite3 does not exist" in told.err
    programs = project.migrate(project.folder / "none.sqlite3")
    assert programs.code == 1
    assert_contract(programs.report)


def test_a_list_of_thousands_of_letters_is_cut_but_their_count_is_not() -> None:
    report = Report(run=str(uuid.uuid4()), source="s", target="t")
    report.lines = [Line("a", "a", Tally(read=20_000, dead_lettered=20_000))]
    report.dead_letters = [Letter("a", "a", str(at), "bad") for at in range(10_000)]
    report.settle()
    assert report.as_json()["tables"][0]["dead_lettered"] == 20_000
    assert report.exit_code == 3


def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("migrate_to_dynamo", "--help")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "exit status" in text
    for code, words in ((0, "verified"), (3, "dead letters"), (2, "missing"), (1, "interrupted")):
        assert re.search(rf"^ +{code} .*{words}", text, re.MULTILINE)
    for option in ("--source", "--database", "--table", "--dry-run", "--verify-only", "--repair",
                   "--allow-extra", "--skip-expired", "--no-verify", "--concurrency",
                   "--rate-limit", "--format"):  # fmt: skip
        assert option in text


@pytest.mark.parametrize(
    "arguments", [["--concurrency", "0"], ["--rate-limit", "-1"], ["--rate-limit", "nan"],
                  ["--concurrency", "many"], ["--format", "xml"]]
)  # fmt: skip
def test_an_argument_that_makes_no_sense_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError):
        call_command("migrate_to_dynamo", *arguments)
