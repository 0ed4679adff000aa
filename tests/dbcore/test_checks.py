"""Each check against a declaration that it must refuse, beside one that it must not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from django.apps import apps
from django.core.checks import CheckMessage, run_checks
from django.db import models
from django.db.models.functions import Lower, Upper
from django.test.utils import isolate_apps
from django.utils import timezone
from pytest_django import Settings

from dbcore import transport_checks
from dbcore.append_only import AppendOnly
from dbcore.checks import HINTS, check_declarations, check_endpoint, check_models
from dbcore.fields import RecordKeyField
from dbcore.monitoring.configured import NAMES_HINT
from dbcore.tables import (
    DayIndex,
    Deadline,
    GlobalIndex,
    LocalIndex,
    NoRetention,
    Retention,
    Table,
    Tier,
)

DOCS = Path(__file__).parents[2] / "docs" / "checks.md"
KEPT = NoRetention("a test")


class Base(models.Model):
    id = models.CharField(max_length=64, primary_key=True)

    class Meta:
        abstract = True
        app_label = "checked"


class PairBase(models.Model):
    key = RecordKeyField(of=("user_id", "id"))
    user_id = models.CharField(max_length=64)
    id = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        abstract = True
        app_label = "checked"


def table(name: str = "things", **kwargs: object) -> Table:
    return Table(**{"name": name, "hash_key": "id", "retention": KEPT, **kwargs})  # type: ignore[arg-type]


def pair_table(**kwargs: object) -> Table:
    return table(**{"hash_key": "user_id", "range_key": "id", **kwargs})  # type: ignore[arg-type]


def ids(found: Iterable[CheckMessage]) -> list[str]:
    found = list(found)
    assert all(each.hint for each in found)
    return [str(each.id).removeprefix("dbcore.") for each in found]


@isolate_apps()
def test_declarations_that_use_everything_pass() -> None:
    class Simple(Base):
        email = models.EmailField()
        name = models.CharField(max_length=9, unique=True)
        gone_at = models.DateTimeField(null=True)
        made_at = models.DateTimeField()
        rank = models.IntegerField(null=True)

        storage = table(
            indexes=(GlobalIndex("RankIndex", "rank", "gone_at"),),
            expires=(Deadline("gone_at"),),
            retention=Retention(9, ("gone_at", "made_at"), Tier.COLD, while_kept="id"),
        )

        class Meta(Base.Meta):
            constraints = [models.UniqueConstraint(Lower("email"), name="any_case")]

    class Pair(PairBase):
        storage = pair_table(
            name="pairs", indexes=(LocalIndex("AtIndex", "at"), DayIndex("DateIndex", "at"))
        )

    class ProxyOfPair(Pair):
        class Meta:
            proxy = True
            app_label = "checked"

    assert check_models([Simple, Pair, ProxyOfPair]) == []


@isolate_apps()
def test_e001_a_model_beside_stored_ones_may_not_be_forgotten() -> None:
    class Stored(Base):
        storage = table()

    class Forgotten(Base):
        pass

    class Elsewhere(Base):
        class Meta:
            app_label = "other"

    (error,) = check_models([Stored, Forgotten, Elsewhere])
    assert error.id == "dbcore.E001"
    assert error.obj is Forgotten


@isolate_apps("django.contrib.contenttypes")
def test_e002_a_field_without_a_codec_is_named() -> None:
    class LoudField(models.CharField):  # type: ignore[type-arg]
        pass

    class Thing(Base):
        took = models.DurationField()
        loud = LoudField(max_length=9)
        price = models.DecimalField()  # without places: not a crash either
        friends = models.ManyToManyField("self")
        storage = table()

    found = check_models([Thing])
    assert ids(found) == ["E002"] * 4
    named = [each.msg.split()[0] for each in found]
    assert named == ["took", "loud", "price", "friends"]


@isolate_apps()
def test_e003_every_field_that_storage_names_must_exist() -> None:
    class Thing(Base):
        storage = table(
            indexes=(GlobalIndex("AIndex", "a", "b"), DayIndex("DateIndex", "c")),
            expires=(Deadline("d"),),
            retention=Retention(1, ("e",), Tier.HOT, while_kept="f"),
            secret=("g",),
            personal=("h", "i"),
            owner="j",
        )

    class Pair(PairBase):
        storage = pair_table(name="pairs", indexes=(LocalIndex("GIndex", "key"),))

    found = check_models([Thing, Pair])
    assert ids(found) == ["E003"] * 11
    named = {re.search(r"names (\w+),", each.msg).group(1) for each in found}  # type: ignore[union-attr]
    assert named == {*"abcdefghij", "key"}


@isolate_apps()
def test_e003_a_key_that_does_not_exist_is_a_finding_and_not_a_crash() -> None:
    class Thing(Base):
        storage = table(hash_key="nowhere")

    assert ids(check_models([Thing])) == ["E003", "E011"]


@isolate_apps()
def test_e004_a_key_may_not_be_null() -> None:
    class Thing(PairBase):
        id = models.CharField(max_length=64, null=True)
        storage = pair_table()

    (error,) = check_models([Thing])
    assert ids([error]) == ["E004"]
    assert error.msg.startswith("id ")


@isolate_apps()
def test_e005_a_key_is_text_or_number() -> None:
    class Thing(Base):
        data = models.JSONField(default=dict)
        done = models.BooleanField(default=False)
        rank = models.IntegerField(default=0)
        storage = table(
            indexes=(GlobalIndex("DoneIndex", "done", "data"), GlobalIndex("RankIndex", "rank"))
        )

    found = check_models([Thing])
    assert ids(found) == ["E005", "E005"]
    assert "done" in found[0].msg
    assert "data" in found[1].msg


@isolate_apps()
def test_e005_a_number_may_not_be_half_of_a_key() -> None:
    class Thing(PairBase):
        id = models.IntegerField()
        storage = pair_table()

    assert ids(check_models([Thing])) == ["E005"]
    with pytest.raises(ValueError, match="is not"):
        Thing._meta.pk.value_for(Thing(user_id="u", id=1))  # the reason for the check


@isolate_apps()
def test_e006_what_is_counted_from_must_be_an_instant() -> None:
    class Thing(Base):
        year = models.IntegerField()
        storage = table(
            indexes=(DayIndex("DateIndex", "year"),),
            expires=(Deadline("year"),),
            retention=Retention(1, ("year",), Tier.WARM),
        )

    assert ids(check_models([Thing])) == ["E006"] * 3


@isolate_apps()
def test_e007_table_names_are_valid_and_used_once(settings: Settings) -> None:
    class One(Base):
        storage = table("things")

    class Two(Base):
        storage = table("things")

    class Bad(Base):
        storage = table("bad name")

    class Guards(Base):
        storage = table("unique")

    found = check_models([One, Two, Bad, Guards])
    assert ids(found) == ["E007"] * 4
    assert [each.obj for each in found] == [One, Two, Bad, Guards]
    settings.DYNAMODB_TABLE_PREFIX = "p" * 250
    assert ids(check_models([One])) == ["E007"]


@isolate_apps()
def test_e008_index_names_are_valid_and_used_once() -> None:
    class Thing(Base):
        at = models.DateTimeField()
        storage = table(
            indexes=(
                GlobalIndex("Twice", "id"),
                GlobalIndex("Twice", "at"),
                GlobalIndex("in valid", "at"),
                GlobalIndex("DueDayIndex", "at"),
            ),
            retention=Retention(1, ("at",), Tier.COLD),
        )

    found = check_models([Thing])
    assert ids(found) == ["E008"] * 3
    assert "DueDayIndex" in found[2].msg


@isolate_apps()
def test_e009_local_indexes_need_a_range_key_and_both_kinds_are_limited() -> None:
    class Single(Base):
        at = models.DateTimeField()
        storage = table(indexes=(LocalIndex("AtIndex", "at"),))

    class Many(PairBase):
        storage = pair_table(
            name="many",
            indexes=(
                *(LocalIndex(f"Local{number}", "at") for number in range(6)),
                *(GlobalIndex(f"Global{number}", "at") for number in range(20)),
                DayIndex("DateIndex", "at"),
            ),
        )

    found = check_models([Single, Many])
    assert ids(found) == ["E009"] * 3
    assert "no range key" in found[0].msg
    assert found[1].msg.startswith("6 local")
    assert found[2].msg.startswith("21 global")


@isolate_apps()
def test_e010_an_attribute_has_one_owner() -> None:
    class Thing(Base):
        user_id = models.CharField(max_length=9)
        userId = models.CharField(max_length=9)
        ttl = models.IntegerField()
        due_day = models.CharField(max_length=9)
        storage = table()

    found = check_models([Thing])
    assert ids(found) == ["E010"] * 3
    assert "user_id and userId" in found[0].msg


@isolate_apps()
def test_e011_both_stores_key_a_record_alike() -> None:
    class Swapped(PairBase):
        storage = table(hash_key="id", range_key="user_id")

    class NumberedByDjango(models.Model):
        number = models.BigAutoField(primary_key=True)
        id = models.CharField(max_length=9)
        storage = table("numbered")

        class Meta:
            app_label = "checked"

    class HalfOfAPair(PairBase):
        storage = table("half")

    class PairOnASingle(Base):
        at = models.DateTimeField()
        storage = table("pair", range_key="at")

    class EscapedCopyOfOne(models.Model):
        key = RecordKeyField(of=("id",))
        id = models.CharField(max_length=9)
        storage = table("copied")

        class Meta:
            app_label = "checked"

    bad = [Swapped, NumberedByDjango, HalfOfAPair, PairOnASingle, EscapedCopyOfOne]
    found = check_models(bad)
    assert [each.obj for each in found if each.id == "dbcore.E011"] == bad
    assert set(ids(found)) == {"E002", "E011"}  # E002: BigAutoField is not mapped


@isolate_apps()
def test_e012_uniqueness_that_no_guard_can_keep_is_refused() -> None:
    class Thing(Base):
        number = models.IntegerField(unique=True)
        a = models.CharField(max_length=9)
        b = models.CharField(max_length=9)
        storage = table()

        class Meta(Base.Meta):
            unique_together = [("a", "b")]
            constraints = [
                models.UniqueConstraint(fields=["a", "number"], name="two"),
                models.UniqueConstraint(fields=["a"], name="plain"),
                models.UniqueConstraint(Lower("a"), Lower("b"), name="two_lowered"),
                models.UniqueConstraint(Upper("a"), name="upper"),
                models.UniqueConstraint(Lower("a"), name="some", condition=models.Q(b="")),
                models.UniqueConstraint(Lower("b"), name="nulls", nulls_distinct=False),
                models.UniqueConstraint(Lower("number"), name="number"),
                models.UniqueConstraint(Lower("a"), name="good"),
                models.CheckConstraint(condition=models.Q(number__gt=0), name="no_business"),
            ]

    found = check_models([Thing])
    assert ids(found) == ["E012"] * 9
    assert not any("good" in each.msg for each in found)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://dynamodb.eu-central-1.amazonaws.com",
        "http://10.0.0.5:8000",
        "http://localhost.example.com:8000",
        "localhost:8000",
        "ftp://localhost",
        "http://localhost:port",
    ],
)
def test_e013_records_never_leave_this_machine_in_the_clear(
    endpoint: str, settings: Settings
) -> None:
    assert ids(check_endpoint(endpoint)) == ["E013"]
    settings.DYNAMODB_ENDPOINT = endpoint
    assert [each.id for each in run_checks(tags=["dbcore"])] == ["dbcore.E013"]


@pytest.mark.parametrize(
    "endpoint",
    ["", "local", "http://127.0.0.1:8000", "http://[::1]:8000", "https://vpce.example.com"],
)
def test_e013_lets_aws_https_and_this_machine_pass(endpoint: str) -> None:
    assert check_endpoint(endpoint) == []


@isolate_apps()
def test_e014_there_is_always_something_to_count_from() -> None:
    class Thing(Base):
        ended_at = models.DateTimeField(null=True)
        seen_at = models.DateTimeField(null=True)
        storage = table(
            indexes=(DayIndex("DateIndex", "seen_at"),),
            retention=Retention(1, ("ended_at", "seen_at"), Tier.WARM),
        )

    class Never(Base):
        storage = table("never", retention=Retention(1, (), Tier.WARM))

    assert ids(check_models([Thing, Never])) == ["E014"] * 3


@isolate_apps()
def test_e015_what_is_append_only_is_so_in_django_too() -> None:
    class Kept(AppendOnly, Base):
        storage = table("kept", append_only=True)

        class Meta:
            app_label = "checked"

    class Thing(Base):
        storage = table(append_only=True)

    class Open(AppendOnly, Base):
        all = models.Manager["Open"]()
        storage = table("open", append_only=True)

        class Meta:
            app_label = "checked"

    found = check_models([Kept, Thing, Open])
    assert ids(found) == ["E015"] * 2 and [each.obj for each in found] == [Thing, Open]


def test_the_project_itself_has_no_finding() -> None:
    assert run_checks(tags=["dbcore"]) == []


@isolate_apps()
def test_a_check_of_one_application_says_nothing_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Thing(Base):
        storage = table("bad name")

    monkeypatch.setattr("dbcore.checks.apps.get_models", lambda: [Thing])
    assert ids(check_declarations(None)) == ["E007"]
    assert check_declarations([apps.get_app_config("daylight")]) == []


def test_every_check_is_documented_with_its_hint() -> None:
    rows = dict(re.findall(r"^\| dbcore\.([EW]\d{3}) \| .+? \| (.+) \|$", DOCS.read_text(), re.M))
    assert rows == {**HINTS, **transport_checks.HINTS, "W001": NAMES_HINT}
