"""Every command that names --who, and each that shows or changes records, is in the audit trail
with the account that ran it, whatever it said of itself."""

from __future__ import annotations

import os
import platform
import pwd
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class

from daylight.models import Plan, User
from daylight.services.bearers import new_bearer
from dbcore import operators
from dbcore.management.tool import ToolCommand
from dbcore.models import Erasure, LegalHold
from tests.daylight.signin.accounts import colleague, trail

SIGNED = {"who": "A. Clerk", "why": "asked"}
ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def ana(db: None) -> None:
    User.objects.create(id="ana", email="ana@example.org", password_hash="x")
    Plan.objects.create(user_id="ana", id="p", title="Lake")


def accounts(entries: list[Any]) -> set[tuple[str, ...]]:
    """Who is said to have done it, and who has."""
    return {
        (each.details["who"], each.details["os_user"], each.details["host"], each.actor)
        for each in entries
    }


BY_ME = ("A. Clerk", ME, platform.node(), f"os:{ME}@{platform.node()}")


def test_an_export_a_hold_and_an_erasure_name_the_account_beside_who_is_said_to_ask(
    ana: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    call_command("export_user", "ana", output=tmp_path / "ana.json", **SIGNED)
    call_command("legal_hold", "place", user="ana", **SIGNED)
    with pytest.raises(CommandError, match="legal hold"):
        call_command("erase_user", "ana", "--accept-erasure", **SIGNED)
    told = trail(kind="data_protection")
    assert [each.action for each in told] == ["export", "export", "place_hold", "place_hold"]
    assert accounts(told) == {BY_ME}
    (refused,) = trail(kind="command")  # of the others their own entries tell
    assert refused.action == "erase_user"
    assert refused.outcome == "failure" and accounts([refused]) == {BY_ME}
    assert "ana" not in str(vars(refused)), "who is to be erased is not named"


def test_a_reason_that_quotes_what_lets_somebody_in_is_kept_without_it(
    ana: None, tmp_path: Path, archive_dir: Path
) -> None:
    secret = new_bearer("ds_")
    signed = ("--who", f"A. {secret}", "--why", f"a complaint of {secret} and password=hunter2")
    call_command("export_user", "ana", "--output", str(tmp_path / "ana.json"), *signed)
    call_command("legal_hold", "place", "--user", "ana", *signed)
    call_command("legal_hold", "lift", str(LegalHold.objects.get().pk), *signed)
    call_command("erase_user", "ana", "--accept-erasure", *signed)
    books = [
        *LegalHold.objects.all(),
        *Erasure.objects.all(),
        *trail(kind="data_protection"),
        *trail(kind="command"),
    ]
    assert LegalHold.objects.get().reason == "a complaint of *** and password=***"
    assert secret not in str([vars(each) for each in books])
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files and not [path for path in files if secret.encode() in path.read_bytes()]


def test_who_says_no_name_is_named_by_the_account_and_not_by_a_variable(
    ana: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "somebody-else")
    call_command("export_user", "ana", output=tmp_path / "ana.json")
    assert {each.details["who"] for each in trail("export", "data_protection")} == {ME}


def test_a_dry_run_and_a_list_are_told_of_though_they_change_nothing(ana: None) -> None:
    call_command("erase_user", "ana", "--dry-run", **SIGNED)
    call_command("legal_hold", "list")
    dry, listed = trail(kind="command")
    assert (dry.action, dry.outcome, dry.details["phase"]) == ("erase_user", "success", "ended")
    assert (listed.action, listed.details["who"]) == ("legal_hold", ME)


@pytest.mark.parametrize(
    ("command", "arguments", "action"),
    [
        ("dead_letters", ["list"], "list_dead_letters"),
        ("dead_letters", ["replay"], "replay_dead_letters"),
        ("enforce_retention", ["--no-input", "--quiet"], "enforce_retention"),
        ("reconcile_archives", ["--quiet"], "reconcile_archives"),
        ("rotate_archive_keys", ["--quiet"], "rotate_archive_keys"),
    ],
)
def test_what_shows_or_changes_records_is_told_before_and_after(
    transactional_db: None, archive_dir: Path, command: str, arguments: list[str], action: str
) -> None:
    try:
        call_command(command, *arguments)
    except SystemExit as ended:
        assert not ended.code
    begun, after = trail(kind="command")
    assert (begun.action, begun.details["phase"], begun.outcome) == (action, "begun", "partial")
    assert (after.action, after.details["phase"], after.outcome) == (action, "ended", "success")
    assert begun.correlation_id == after.correlation_id and begun.actor == BY_ME[3]


def test_a_sweep_is_told_of_by_the_id_that_its_record_has(
    transactional_db: None, archive_dir: Path
) -> None:
    from dbcore.models import Sweep

    with pytest.raises(SystemExit):
        call_command("enforce_retention", "--no-input", "--quiet")
    sweep = Sweep.objects.get()
    assert {each.correlation_id for each in trail(kind="command")} == {sweep.pk}
    assert sweep.options["operator"] == BY_ME[3]


def test_without_the_audit_trail_an_export_is_refused_and_a_sweep_goes_on(
    ana: None, archive_dir: Path, tmp_path: Path, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.DBCORE_AUDIT = f"{__name__}.away"
    with pytest.raises(CommandError, match="nothing was done"):
        call_command("export_user", "ana", output=tmp_path / "ana.json", **SIGNED)
    assert not (tmp_path / "ana.json").exists()
    caplog.clear()
    with pytest.raises(SystemExit) as ended:
        call_command("enforce_retention", "--no-input", "--quiet")
    assert not ended.value.code
    lacking = [each for each in caplog.records if each.message == "audit trail lacks an entry"]
    assert len(lacking) == 2


def away(event: Any) -> None:
    raise OSError("the audit trail is out of reach")


def test_every_command_that_names_who_is_a_tool_that_sees_to_it() -> None:
    naming = []
    for name, app in get_commands().items():
        if app in ("daylight", "dbcore"):
            command = load_command_class(app, name)
            parser = command.create_parser("manage.py", name)
            if any(action.dest == "who" for action in parser._actions):
                assert isinstance(command, ToolCommand), name
                naming.append(name)
    assert sorted(naming) == [
        "erase_user", "export_user", "legal_hold", "reset_authenticator", "restore_archive",
        "unlock_sign_in",
    ]  # fmt: skip


def test_the_account_behind_sudo_is_named_where_the_kernel_knows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "loginuid"
    monkeypatch.setattr(operators, "_LOGIN_UID", place)
    other = next(each for each in pwd.getpwall() if each.pw_uid != os.getuid())
    host = platform.node()
    for text, shown in (
        (str(other.pw_uid), f"os:{ME}@{host} (signed in as {other.pw_name})"),
        (str(os.getuid()), f"os:{ME}@{host}"),
        ("4294967295", f"os:{ME}@{host}"),
        ("4000000", f"os:{ME}@{host} (signed in as uid 4000000)"),
        ("", f"os:{ME}@{host}"),
    ):
        place.write_text(text)
        assert str(operators.operator()) == shown


def test_a_colleagues_password_that_a_command_changes_is_told_of(db: None) -> None:
    user = colleague()
    user.set_password("another-horse-battery")
    user.save()
    (changed,) = trail("change_password")
    assert changed.actor == BY_ME[3]
