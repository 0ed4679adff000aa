"""Erasing a user: afterwards nothing names them, in any table of any store or in any book, and no
restore brings anything back."""

from __future__ import annotations

import datetime as dt
import json
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User as Colleague
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.utils import timezone

from daylight.database import api_key_service, session_service, user_service
from daylight.models import AuditLog, Plan, User, UserSession
from dbcore.dynamo.leases import LeaseHeld
from dbcore.items import layout_of
from dbcore.models import (
    DeadLetter,
    Erasure,
    LegalHold,
    MigrationRun,
    RestoredRecord,
    Sweep,
)
from dbcore.retention import erasure
from dbcore.retention.erased import subject_of
from dbcore.retention.erasure import NotErased, erase_user
from dbcore.retention.erasure_report import ErasureReport
from dbcore.retention.errors import HeldByLaw, RetentionError
from dbcore.retention.holds import (
    Subject,
    lift_hold,
    place_hold,
    record_subject,
    table_subject,
    user_subject,
)
from dbcore.retention.keepers.choice import keeper_named
from dbcore.retention.keepers.dynamo import DynamoKeeper
from dbcore.retention.keepers.interface import Keeper, Removal
from dbcore.retention.options import SweepOptions
from dbcore.retention.sweep import enforce_retention
from dbcore.stores.errors import RecordNotFound
from dbcore.table_sync import sync_tables
from tests.dbcore.retention.lives import (
    OWNED,
    archived,
    audit_trail,
    is_kept_from_placing,
    items_of,
    live,
    places_that_name,
    records_of,
    user_named,
)
from tests.dbcore.retention.making import DAY, NOW, put

USER = "user-who-asks-to-be-forgotten"
OTHER = "user-who-stays"
SIGNED = {"who": "A. Clerk", "why": "request 12"}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "PAUSES", (0.0, 0.0, 0.0))


def erase(user: str = USER, **given: Any) -> ErasureReport:
    return erase_user(user, **SIGNED, **given)


def hold(subject: Subject) -> LegalHold:
    return place_hold(subject, who="counsel", why="case 7", until=None, now=timezone.now()).hold


# --- What goes, and what stays ------------------------------------------------------------------


def test_nothing_names_an_erased_user_in_any_table_of_the_store(primary: Keeper) -> None:
    before, others = live(primary, USER), live(primary, OTHER)
    report = erase()
    assert report.status == "completed"
    assert records_of(primary, USER) == {}
    assert records_of(primary, OTHER) == others
    assert places_that_name(primary, USER) == []
    counts = {each.table: each for each in report.tables if each.store == primary.name}
    for table, items in before.items():
        gone = counts[table].redacted if table == "audit_logs" else counts[table].deleted
        assert (counts[table].found, gone) == (len(items), len(items)), table


def test_an_audit_entry_stays_without_what_is_personal_in_it(primary: Keeper) -> None:
    whole = {"session_id": "s", "resource": f"user/{USER}", "ip_address": "10.0.0.9",
             "user_agent": "Browser", "details": {"mail": "a@b.c"}, "changes": [1],
             "correlation_id": "c"}  # fmt: skip
    for _ in range(2):
        put(primary, AuditLog, NOW - DAY, user_id=USER, **whole)
    layout = layout_of(AuditLog)
    kept = (
        "id",
        "timestamp",
        "event_type",
        "action",
        "outcome",
        "risk_level",
        "source",
    )
    before = {
        each["id"]: each for each in map(layout.from_item, records_of(primary, USER)["audit_logs"])
    }
    report = erase()
    found = [layout.from_item(item) for item in items_of(primary, layout)]
    after = {each["id"]: each for each in found if each["id"] in before}
    assert after.keys() == before.keys()
    for key, entry in after.items():
        assert {name: entry[name] for name in kept} == {name: before[key][name] for name in kept}
        assert (entry["session_id"], entry["ip_address"], entry["user_agent"]) == (None,) * 3
        assert entry["resource"] == ""
        assert (entry["details"], entry["changes"], entry["correlation_id"]) == ({}, [], None)
    # One pseudonym for both, by which nobody finds the user.
    (pseudonym,) = {entry["user_id"] for entry in after.values()}
    assert pseudonym.startswith("erased-") and len(pseudonym) == len("erased-") + 12
    assert pseudonym[7:] not in subject_of(USER)
    assert len(list(primary.owned_by(layout, pseudonym))) == 2
    assert sum(each.redacted for each in report.tables) == 2
    assert places_that_name(primary, USER) == []


def test_attributes_that_no_field_has_do_not_outlive_the_user_in_an_audit_entry(
    in_dynamodb: DynamoKeeper,
) -> None:
    item = put(in_dynamodb, AuditLog, NOW - DAY, user_id=USER)
    stray = {**item, "nickname": {"S": "Nick"}}
    assert in_dynamodb.replace(layout_of(AuditLog), item, stray)
    erase()
    assert places_that_name(in_dynamodb, "Nick") == []


def test_a_unique_value_of_an_erased_user_is_free_again(primary: Keeper) -> None:
    user_named(primary, USER, email="Anna@example.org", username="anna")
    erase()
    with pytest.raises(RecordNotFound):
        user_service.get_user_by_email("anna@example.org")
    user_named(primary, OTHER, email="anna@EXAMPLE.org", username="anna")
    assert user_service.get_user_by_email("anna@example.org").id == OTHER


def test_nobody_comes_in_as_an_erased_user(primary: Keeper) -> None:
    user_named(primary, USER)
    hour = dt.timedelta(hours=1)
    app, _ = session_service.create_user_session(USER, ttl=hour)
    device, _ = session_service.create_auth_session(USER, ttl=hour)
    key, _ = api_key_service.issue(USER, "CI")
    erase()
    for call, borne in (
        (session_service.get_user_session, app),
        (session_service.get_auth_session, device),
        (api_key_service.verify, key),
    ):
        with pytest.raises(RecordNotFound):
            call(borne)  # type: ignore[operator]


def test_a_cached_user_is_not_seen_any_more(primary: Keeper, settings: Any) -> None:
    settings.APP_CACHE_ENABLED = True
    user_named(primary, USER)
    user_service.get_user_by_id(USER)
    erase()
    with pytest.raises(RecordNotFound):
        user_service.get_user_by_id(USER)


def test_records_from_before_the_migration_are_erased_with_those_of_dynamodb(
    in_dynamodb: Keeper,
) -> None:
    earlier = keeper_named("orm")
    live(in_dynamodb, USER)
    put(earlier, Plan, NOW - DAY, user_id=USER)
    put(earlier, User, NOW - DAY, id=USER)
    report = erase()
    assert {each.store for each in report.tables if each.deleted} == {"dynamodb", "orm"}
    assert records_of(earlier, USER) == records_of(in_dynamodb, USER) == {}
    assert places_that_name(in_dynamodb, USER) == []


def test_records_that_sqlite_has_sent_to_dynamodb_already_are_erased_there(
    in_sqlite: Keeper, dynamodb: Any, settings: Any
) -> None:
    settings.MIGRATE_FROM_SQLITE = True
    sync_tables()
    there = keeper_named("dynamodb")
    put(there, Plan, NOW - DAY, user_id=USER)
    put(in_sqlite, Plan, NOW - DAY, user_id=USER)
    erase()
    assert records_of(there, USER) == records_of(in_sqlite, USER) == {}


def test_a_dry_run_counts_and_changes_nothing(primary: Keeper) -> None:
    before = live(primary, USER)
    report = erase(dry_run=True)
    assert (report.status, report.erasure) == ("dry_run", "")
    assert report.records == sum(map(len, before.values()))
    assert {each.table: each.found for each in report.tables if each.found} == {
        table: len(items) for table, items in before.items()
    }
    assert records_of(primary, USER) == before
    assert not Erasure.objects.exists() and audit_trail(primary) == []


# --- The books ----------------------------------------------------------------------------------


def test_the_books_forget_an_erased_user_and_keep_what_must_be_accounted_for(
    in_sqlite: Keeper,
) -> None:
    user_named(in_sqlite, USER)
    ended = hold(user_subject(USER))
    on_record = hold(record_subject("plans", [USER, "p"]))
    of_another = hold(record_subject("plans", [f"{USER}-2", "p"]))
    for each in (ended, on_record):
        lift_hold(each.pk, **SIGNED, now=timezone.now())
    for table, key in (("plans", f"{USER}/p"), ("users", USER), ("plans", f"{USER}-2/p")):
        RestoredRecord.objects.create(table=table, key=key, archive="a", grace_until=NOW)
    run = MigrationRun.objects.create(
        source="s", target="t", host="h", pid=1,
        report={"dead_letters": [{"key": USER}, {"key": f"{USER}/p"}, {"key": f"{USER}-2"}]},
    )  # fmt: skip
    report = erase()
    pseudonym = LegalHold.objects.get(pk=ended.pk).subject
    assert pseudonym.startswith("erased-")
    assert LegalHold.objects.get(pk=on_record.pk).subject == pseudonym
    assert LegalHold.objects.get(pk=ended.pk).reason == "case 7"
    assert LegalHold.objects.get(pk=of_another.pk).subject == f"{USER}-2/p"
    assert [each.key for each in RestoredRecord.objects.all()] == [f"{USER}-2/p"]
    run.refresh_from_db()
    assert [each["key"] for each in run.report["dead_letters"]] == [
        pseudonym,
        pseudonym,
        f"{USER}-2",
    ]
    found = report.forgotten
    assert (found.holds, found.restored_records, found.reports) == (2, 1, 1)


def test_reports_of_sweeps_do_not_keep_what_could_not_be_read_of_the_user(
    in_dynamodb: DynamoKeeper,
) -> None:
    user = "jane.doe@example.org"
    layout = layout_of(User)
    written = put(in_dynamodb, User, NOW - 2560 * DAY, id=user)
    assert in_dynamodb.replace(layout, written, {**written, "updatedAt": {"S": "31 Jan, Jane D."}})
    sweep = enforce_retention(SweepOptions(tables=("users",), as_of=NOW, accept_large_sweep=True))
    assert (sweep.exit_code, sweep.lines[0].unreadable) == (0, 1)
    assert "dbcore_sweep" in places_that_name(in_dynamodb, user)
    assert erase(user).forgotten.reports == 1
    assert places_that_name(in_dynamodb, user) == places_that_name(in_dynamodb, "Jane") == []


@pytest.mark.parametrize(
    "text", ["{0} cannot be read", "{0}: no", "{0}/p: title is missing", "unfit: {0}/p, in plans"]
)
def test_errors_of_runs_do_not_name_an_erased_user(in_sqlite: Keeper, text: str) -> None:
    user_named(in_sqlite, USER)
    told = text.format(USER)
    report = {"tables": [{"error": told, "key": f"{USER}/p", "why": "has the value 7"}]}
    runs = [
        Sweep.objects.create(target="t", host="h", pid=1, as_of=NOW, report=report, error=told),
        MigrationRun.objects.create(target="t", host="h", pid=1, report={}, error=told),
        Sweep.objects.create(target="t", host="h", pid=1, as_of=NOW, error=f"{USER}s: no"),
    ]
    assert erase().forgotten.reports == 2
    for run in runs:
        run.refresh_from_db()
    assert USER not in f"{runs[0].report}{runs[0].error}{runs[1].error}"
    assert "value 7" not in str(runs[0].report) and runs[2].error == f"{USER}s: no"


def test_dead_letters_of_an_erased_user_go_whichever_way_they_name_them(in_sqlite: Keeper) -> None:
    coded = {"$text": "dXNlci13aG8tYXNrcy10by1iZS1mb3Jnb3R0ZW4="}
    rows: list[tuple[str, dict[str, Any]]] = [
        ("users", {"id": USER, "email": None}),
        ("plans", {"user_id": USER, "title": {"$bytes": "AP8="}}),
        ("plans", {"userId": USER}),
        ("plans", {"user_id": coded}),
        ("users", {"id": OTHER, "email": USER}),
        ("weather_cache", {"location_key": USER}),
        ("plans", {"user_id": {"$bytes": "x"}}),
    ]
    for number, (table, row) in enumerate(rows):
        DeadLetter.objects.create(
            source="s", target="t", source_table=table, table=table, row_ref=str(number),
            key=str(number), reason="r", row=row, copy_pass="c",
        )  # fmt: skip
    report = erase()
    assert (report.dead_letters, report.forgotten.dead_letters) == (4, 4)
    assert [each.row_ref for each in DeadLetter.objects.all()] == ["4", "5", "6"]


def test_the_admins_log_keeps_what_was_done_and_not_to_whom(in_sqlite: Keeper) -> None:
    colleague = Colleague.objects.create_superuser("boss", password="x")
    user_named(in_sqlite, USER)
    session = put(in_sqlite, UserSession, NOW - DAY, user_id=USER, session_id="a/b")

    def note(model: Any, key: str, text: str) -> LogEntry:
        kind = ContentType.objects.get_for_model(model)
        return LogEntry.objects.create(
            user=colleague, content_type=kind, object_id=key, object_repr=text,
            action_flag=CHANGE, change_message=f"changed {text}",
        )  # fmt: skip

    mine = [
        note(User, USER, "anna@example.org"),
        note(UserSession, session["sessionId"]["S"], f"session of {USER}"),
        note(Plan, f"{USER}/gone-long-ago", "Holiday of Anna"),
    ]
    others = [note(User, OTHER, "bob@example.org"), note(Plan, f"{USER}-2/p", "Bob's")]
    before = {each.pk: (each.object_id, each.object_repr, each.change_message) for each in others}
    erase()
    for entry in LogEntry.objects.filter(pk__in=[each.pk for each in mine]):
        assert entry.object_repr.startswith("erased-") and entry.change_message == ""
        assert (entry.action_flag, entry.user) == (CHANGE, colleague)
    after = LogEntry.objects.filter(pk__in=before)
    assert {e.pk: (e.object_id, e.object_repr, e.change_message) for e in after} == before
    assert (
        places_that_name(in_sqlite, "nna@example") == places_that_name(in_sqlite, "of Anna") == []
    )


def test_the_erasure_is_on_record_and_names_nobody(primary: Keeper) -> None:
    live(primary, USER)
    report = erase()
    row = Erasure.objects.get()
    assert (row.id, row.status, row.requested_by) == (report.erasure, "completed", "A. Clerk")
    assert row.subject == subject_of(USER) and row.completed_at is not None
    assert row.report["tables"] and "user" not in row.report
    begun, ended = audit_trail(primary, "erase")
    assert (begun["outcome"], ended["outcome"]) == ("partial", "success")
    assert {begun["resource"], ended["resource"]} == {f"erasure/{row.id}"}
    assert begun["user_id"] is ended["user_id"] is None
    assert ended["details"]["why"] == "request 12"
    assert places_that_name(primary, USER) == []


def test_archives_that_still_have_the_user_are_named(primary: Keeper) -> None:
    mine = archived(primary, Plan, {"user_id": USER}, {"user_id": OTHER})
    archived(primary, Plan, {"user_id": OTHER})
    report = erase()
    (named,) = report.archives
    assert (named.archive, named.table, named.encrypted) == (mine.pk, "plans", True)
    assert report.records == 0, "an archive alone is enough to erase a user"
    assert Erasure.objects.get().status == "completed"


# --- Holds --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "choose",
    [
        lambda: user_subject(USER),
        lambda: table_subject("audit_logs"),
        lambda: record_subject("plans", [USER, "p"]),
    ],
    ids=["user", "table", "record"],
)
def test_a_legal_hold_stops_an_erasure_before_anything_is_done(
    primary: Keeper, choose: Any
) -> None:
    before = live(primary, USER)
    before["plans"].append(put(primary, Plan, NOW - DAY, user_id=USER, id="p"))
    held = hold(choose())
    with pytest.raises(HeldByLaw, match=rf"nothing was erased: legal hold {held.pk} .*case 7"):
        erase()
    with pytest.raises(HeldByLaw):
        erase(dry_run=True)
    found = records_of(primary, USER)
    assert sorted(map(len, found.values())) == sorted(map(len, before.values()))
    assert not Erasure.objects.exists()
    lift_hold(held.pk, **SIGNED, now=timezone.now())
    erase()
    assert records_of(primary, USER) == {}


def test_holds_on_others_and_on_tables_without_the_user_stop_nothing(primary: Keeper) -> None:
    put(primary, Plan, NOW - DAY, user_id=USER, id="p")
    put(primary, Plan, NOW - DAY, user_id=OTHER, id="p")
    hold(user_subject(OTHER))
    hold(record_subject("plans", [OTHER, "p"]))
    hold(table_subject("locations"))
    erase()
    assert records_of(primary, USER) == {}
    assert list(records_of(primary, OTHER)) == ["plans"]


@pytest.mark.parametrize("table", ["plans", "audit_logs"])
def test_a_hold_that_comes_between_is_respected_within_the_delete(
    primary: Keeper, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    before = live(primary, USER)
    kind = type(primary)
    usual = kind.owned_by
    looks: list[str] = []

    def owned_by(keeper: Any, layout: Any, owner: str) -> Any:
        looks.append(layout.table.name)
        found = list(usual(keeper, layout, owner))
        if looks.count(table) == 2:  # the first look is over, and this one is for the delete
            hold(record_subject(table, [v["S"] for v in layout.key_of_item(found[0]).values()]))
        return iter(found)

    monkeypatch.setattr(kind, "owned_by", owned_by)
    with pytest.raises(HeldByLaw, match="case 7"):
        erase()
    monkeypatch.undo()
    assert before[table][0] in records_of(primary, USER)[table]
    assert Erasure.objects.get().status == "started"
    assert audit_trail(primary, "erase")[-1]["outcome"] == "failure"
    lift_hold(LegalHold.objects.get().pk, **SIGNED, now=timezone.now())
    monkeypatch.setattr(erasure, "PAUSES", (0.0,))
    assert erase().status == "completed"
    assert records_of(primary, USER) == {}
    assert Erasure.objects.count() == 1


def test_no_hold_is_placed_between_the_look_for_holds_and_the_redaction(
    in_dynamodb: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(in_dynamodb, AuditLog, NOW, user_id=USER)
    usual, kept = DynamoKeeper.replace, []

    def replace(keeper: Any, *given: Any) -> bool:
        kept.append(is_kept_from_placing(USER))
        return usual(keeper, *given)

    monkeypatch.setattr(DynamoKeeper, "replace", replace)
    erase()
    assert kept == [True]
    assert not is_kept_from_placing(USER)


# --- Again, and again ---------------------------------------------------------------------------


def test_a_second_call_says_that_it_was_done_and_takes_what_came_since(primary: Keeper) -> None:
    live(primary, USER)
    first = erase()
    again = erase()
    assert (again.erasure, again.records) == (first.erasure, 0)
    assert again.completed_before is not None
    put(primary, UserSession, NOW, user_id=USER)
    assert erase().records == 1
    assert records_of(primary, USER) == {}


def test_what_is_written_while_the_erasure_goes_on_is_found_by_the_next_look(
    primary: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(primary, USER)
    kind = type(primary)
    usual, left = kind.remove, [2]

    def remove(keeper: Any, rule: Any, items: Any) -> list[Removal]:
        found = usual(keeper, rule, items)
        if left[0] and rule.layout.table.name == "users":
            left[0] -= 1
            put(keeper, Plan, NOW, user_id=USER)
            put(keeper, User, NOW, id=USER)
        return found

    monkeypatch.setattr(kind, "remove", remove)
    report = erase()
    assert records_of(primary, USER) == {}
    counts = {each.table: each for each in report.tables if each.store == primary.name}
    assert (counts["plans"].found, counts["plans"].deleted) == (2, 4)
    left[0] = 99
    put(primary, User, NOW, id=USER)
    with pytest.raises(NotErased, match="users"):
        erase()
    left[0] = 0
    assert erase().status == "completed"


def test_an_id_that_nothing_belongs_to_is_a_typing_error(primary: Keeper) -> None:
    live(primary, USER)
    with pytest.raises(RetentionError, match="nothing belongs to a user 'user-who-ask'"):
        erase("user-who-ask")
    for bad in ("", " ", "a\0b", "\ud800", "u" * 1001):
        with pytest.raises(RetentionError):
            erase(bad)
    assert not Erasure.objects.exists()


def test_one_at_a_time_works_on_a_store(primary: Keeper) -> None:
    before = live(primary, USER)
    with primary.lease("retention", "a sweep"), pytest.raises(LeaseHeld, match="a sweep"):
        erase()
    assert records_of(primary, USER) == before


def test_every_table_with_an_owner_has_its_turn_and_the_user_goes_near_the_end() -> None:
    order = [layout.table.name for layout in erasure.erasable()]
    assert order[-2:] == ["users", "user_profiles"]
    assert len(order) == len(OWNED) == 12


# --- The command --------------------------------------------------------------------------------


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("erase_user", *arguments, "--who", "w", "--why", "y", stdout=out)
    return out.getvalue()


def test_the_command_counts_then_erases_then_says_that_it_is_done(primary: Keeper) -> None:
    live(primary, USER)
    archived(primary, Plan, {"user_id": USER, "id": "old"})
    text = run(USER, "--dry-run")
    assert "records would be erased. Nothing was changed." in text
    assert "not looked into, since their records belong to no user: events_cache" in text
    assert "still has records (encrypted)" in text
    with pytest.raises(CommandError, match="Nobody is asked: say --accept-erasure"):
        run(USER)
    assert records_of(primary, USER) != {}
    found = json.loads(run(USER, "--accept-erasure", "--format", "json"))
    assert found["status"] == "completed" and len(found["archives"]) == 1
    assert records_of(primary, USER) == {}
    assert "Erased already, on " in run(USER, "--accept-erasure")


def test_the_command_names_the_hold_that_forbids_it(primary: Keeper) -> None:
    live(primary, USER)
    held = hold(user_subject(USER))
    with pytest.raises(CommandError, match=held.pk):
        run(USER, "--accept-erasure")
    with pytest.raises(CommandError, match="nothing belongs to"):
        run("nobody", "--dry-run")


def test_an_erasure_that_is_refused_says_so_in_json_too(in_sqlite: Keeper) -> None:
    live(in_sqlite, USER)
    held = hold(user_subject(USER))
    for user, status in ((USER, "forbidden"), ("nobody", "failed")):
        out = StringIO()
        with pytest.raises(CommandError) as refused:
            call_command(
                "erase_user", user, "--who", "w", "--why", "y", "--accept-erasure",
                "--format", "json", stdout=out,
            )  # fmt: skip
        found = json.loads(out.getvalue())
        assert (found["user"], found["status"]) == (user, status)
        assert found["error"] == str(refused.value) != ""
    assert held.pk
