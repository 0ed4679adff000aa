"""Who makes DynamoDB's tables, and when: a first deployment, and a person.

A start must never make a table anew that was there before: it would be empty, and look well.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from logging import ERROR, INFO, WARNING

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from dbcore import bookkeeping, local_engine
from dbcore.errors import ConfigurationError
from dbcore.logs import Event
from dbcore.models import Deployment
from dbcore.rights import in_words
from dbcore.schema import WantedTable, target_name, wanted_tables
from dbcore.table_sync import TableSyncError, sync_tables
from dbcore.table_sync.observe import Caller, Hasty, Observer
from dbcore.table_sync.plan import Description, Observed, key_of, plan_for
from dbcore.wire import get_wire

PROBE_DEADLINE = 5.0  # seconds for each of DynamoDB's answers
LOCAL = "local "  # how the targets begin that are the project's own engine
FIRST = Event(
    "dbcore.deployment", (INFO,), "first deployment", ("target", "count"),
    "a start makes so many tables: neither DynamoDB nor the books have ever had any",
)  # fmt: skip
MISSING = Event(
    "dbcore.deployment", (ERROR,), "tables are missing", ("target", "tables"),
    "a start has found that tables are not there. It makes none and serves the rest: restore them "
    "if they were deleted, else run `manage.py sync_tables`",
)  # fmt: skip
DIFFER = Event(
    "dbcore.deployment", (WARNING,), "tables differ", ("target", "count", "sentence"),
    "a start has found so many differences between tables and models, which it leaves alone: see "
    "`manage.py sync_tables --dry-run`",
)  # fmt: skip
_TOLD = 5  # differences are named at most

Tables = Mapping[str, Description | None]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a start leaves behind in DynamoDB: the tables that it made, those that are missing, by
    their names, and what differs from the models, in words."""

    made: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()


def at_start() -> Standing:
    """See that the tables are there. Makes them in a first deployment alone, and changes none.

    ConfigurationError where DynamoDB or the books do not answer, where a table has another key, or
    where the books know tables and there are none here: is the prefix mistyped?
    """
    wanted = {each.name: each for each in wanted_tables()}
    probe = Hasty(get_wire(), PROBE_DEADLINE)
    found = _look(wanted, probe)
    made: tuple[str, ...] = ()
    with bookkeeping.usable():
        if not _is_over(found):
            with bookkeeping.alone():
                found = _look(wanted, probe)  # whoever was alone before may have made them
                made = _deploy(found)
        found = _look(wanted, probe) if made else found
    return _judged(wanted, found, made)


def _judged(wanted: Mapping[str, WantedTable], found: Tables, made: tuple[str, ...]) -> Standing:
    missing = tuple(name for name, table in found.items() if table is None)
    if missing:
        MISSING.log(target=target_name(), tables=", ".join(missing))
    differing: list[str] = []
    for name, table in found.items():
        if table is None:
            continue
        plan = plan_for(wanted[name], Observed(table))
        if key_of(table) != key_of(wanted[name].request):
            raise ConfigurationError(
                f"{name} is not as its model declares it ({'; '.join(plan.differences)}): see "
                "`manage.py sync_tables`"
            )
        texts = (*plan.differences, *(action.text for action in plan.actions))
        differing += [f"{name}: {text}" for text in texts]
    if differing:
        told = "; ".join(differing[:_TOLD])
        DIFFER.log(target=target_name(), count=len(differing), sentence=told)
    return Standing(made, missing, tuple(differing))


# --- A first deployment ---------------------------------------------------------------------------
def _is_over(found: Tables) -> bool:
    """Whether the books say that nothing is to be made here, and know all that is there."""
    here = Deployment.objects.filter(pk=target_name()).first()
    if here is None or here.completed_at is None or _is_new_engine(found):
        return False
    return set(_there(found)) <= set(here.tables)


def _deploy(found: Tables) -> tuple[str, ...]:
    """Make what a first deployment is to make, and note what is there; the names of the made."""
    target, there = target_name(), _there(found)
    known = {each.target: each for each in Deployment.objects.all()}
    here = known.get(target)
    if _is_new_engine(found):
        here, known = None, {}
    is_begun = here is not None and here.completed_at is None
    if not is_begun and (here is not None or there):
        # Tables that the books have never heard of: a person made them, or the books are newer.
        _note(there, is_over=True)
        return ()
    if here is None:
        _refuse_another_target(target, known)
        here = Deployment(target=target)
        here.save()
    return _make(here, [name for name in found if name not in here.tables])


def _refuse_another_target(target: str, known: Collection[str]) -> None:
    if known:
        raise ConfigurationError(
            f"the books know tables at {', '.join(sorted(known))}; there are none at {target}: is "
            f"DYNAMODB_TABLE_PREFIX, DYNAMODB_REGION or DYNAMODB_ENDPOINT mistyped? If {target} is "
            "meant: `manage.py sync_tables`"
        )


def _make(here: Deployment, names: Sequence[str]) -> tuple[str, ...]:
    """Make these, or finish what was begun of them."""
    FIRST.log(target=here.target, count=len(names))
    try:
        report = sync_tables(tables=names)
    except TableSyncError as error:
        if not (error.report.changed or here.tables or _there(_look(names))):
            here.delete()  # nothing was begun: the next try may be at another target
        raise
    _note(names)
    return tuple(each.name for each in report.tables if each.actions)


def _note(names: Collection[str], *, is_over: bool = False) -> None:
    """Write into the books that these tables are there."""
    with transaction.atomic():
        books = Deployment.objects.select_for_update()
        here, _ = books.get_or_create(target=target_name())
        here.tables = sorted({*here.tables, *names})
        is_over = is_over or {each.name for each in wanted_tables()} <= set(here.tables)
        if is_over and here.completed_at is None:
            here.completed_at = timezone.now()
        here.save()


def _is_new_engine(found: Tables) -> bool:
    """Whether it is the local engine, keeping its data in memory, which has forgotten them."""
    if settings.DYNAMODB_ENDPOINT != "local" or _there(found):
        return False
    return not local_engine.shared_engine().keeps_data


# --- What a person makes --------------------------------------------------------------------------
def make(names: Collection[str]) -> None:
    """Make those of these tables that have never been there, for a command of a person's.

    ConfigurationError for one that is missing and was there, or that came after the deployment.
    """
    found = _look(names)
    with bookkeeping.usable():
        here = Deployment.objects.filter(pk=target_name()).first()
    is_over = here is not None and here.completed_at is not None
    known = () if here is None else here.tables
    gone = [name for name, table in found.items() if table is None and (is_over or name in known)]
    if gone:
        raise ConfigurationError(
            f"DynamoDB lacks {', '.join(gone)}, and nothing makes a table there but a person: "
            "restore what was deleted, then, or where it is new, run `manage.py sync_tables`"
        )
    new = [name for name in names if name not in known]
    if new and not is_over:
        sync_tables(tables=new)
        with bookkeeping.usable():
            _note(new)


def noted(names: Collection[str]) -> str:
    """Note that a person has made these tables, or has seen them; "" or why the books cannot."""
    try:
        with bookkeeping.usable():
            if bookkeeping.has(Deployment):
                _note(names)
                return ""
        why = "Django's database has none: see `manage.py migrate`"
    except ConfigurationError as error:
        why = str(error)
    return f"the books were not told of these tables ({why}); the next start tells them"


def forget_local() -> str:
    """Note that the data of the project's own engine are deleted; "" or why the books cannot."""
    try:
        with bookkeeping.usable():
            if bookkeeping.has(Deployment):
                Deployment.objects.filter(target__startswith=LOCAL).delete()
    except ConfigurationError as error:
        return f"the books were not told ({error}): `manage.py sync_tables` makes new tables"
    return ""


# --- What DynamoDB has ----------------------------------------------------------------------------
def _look(names: Collection[str], caller: Caller | None = None) -> Tables:
    """Each table as DynamoDB describes it. ConfigurationError where it cannot be asked."""
    observer = Observer(caller or get_wire())
    try:
        return {name: observer.describe(name) for name in names}
    except (BotoCoreError, ClientError) as error:
        raise ConfigurationError(
            f"DynamoDB at {get_wire().endpoint.url} cannot be used: {in_words(error)}. See "
            "DYNAMODB_ENDPOINT, DYNAMODB_REGION and the credentials"
        ) from error


def missing(names: Collection[str]) -> list[str]:
    """Those of these tables that are not there."""
    return [name for name, table in _look(names).items() if table is None]


def _there(found: Tables) -> list[str]:
    return [name for name, table in found.items() if table is not None]
