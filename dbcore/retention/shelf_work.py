"""What rotating keys and reconciling archives have in common: they go over everything on the shelf,
alone, and may be stopped between any two archives.
"""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from logging import WARNING
from typing import Any, ClassVar

from botocore.exceptions import BotoCoreError, ClientError
from django.db.utils import DatabaseError

from dbcore import bookkeeping
from dbcore.errors import DbcoreError
from dbcore.logs import Event
from dbcore.models import Archive, new_run_id
from dbcore.progress import Watcher
from dbcore.retention.archives import Manifest, Shelf
from dbcore.retention.archives.listing import Listed
from dbcore.retention.errors import NotProven
from dbcore.retention.in_use import keepers_in_use
from dbcore.retention.logged import NO_FAULT, told, worked
from dbcore.rights import in_words
from dbcore.stopping import Stop

LEASE = "retention"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about one archive, by its object's name."""

    archive: str
    what: str


@dataclass(slots=True)
class ShelfReport:
    """How the work ended. Exit codes: 0 done, 2 something could not be proven, 1 failed."""

    dry_run: bool = False
    archives: int = 0
    problems: list[Finding] = field(default_factory=list)
    error: str = ""

    @property
    def exit_code(self) -> int:
        """0, 1 or 2."""
        if self.error:
            return 1
        return 2 if self.problems else 0

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {**asdict(self), "exit_code": self.exit_code}


class ShelfWork(abc.ABC):
    """Work on every archive of a shelf."""

    command: ClassVar[str]
    begun: ClassVar[Event]
    ended: ClassVar[Event]

    def __init__(self, shelf: Shelf, watch: Watcher) -> None:
        self.shelf = shelf
        self.watch = watch
        self._stop = Stop()
        self._leases: list[Any] = []

    def run(self, report: ShelfReport) -> None:
        """Do the work while no sweep, restore or erasure runs, of any store; what fails is told in
        the report."""
        asked = {"dry_run": report.dry_run, **self.asked()}
        with told(self.command, self.begun, self.ended, **asked) as ending:
            error = self._run(report)
            ending |= {**worked(report, **self.counted()), "error": error}
            if isinstance(error, NO_FAULT):
                ending["level"] = WARNING

    def _run(self, report: ShelfReport) -> BaseException | None:
        """Do it; the error that ended it, which is in the report."""
        try:
            with self._stop.on_signal(), contextlib.ExitStack() as entered:
                bookkeeping.make_ready()
                self.shelf.check()
                for keeper in keepers_in_use():
                    lease = entered.enter_context(keeper.lease(LEASE, new_run_id()))
                    self._leases.append(lease)
                self.work()
        except KeyboardInterrupt as error:
            report.error = "a second signal ended the run at once; run the same command to go on"
            return error
        except (DbcoreError, BotoCoreError, ClientError, OSError) as error:
            report.error = in_words(error)
            return error
        except DatabaseError as error:
            report.error = f"Django's database: {in_words(error)}"
            return error
        finally:
            self.watch.close()
        return None

    @abc.abstractmethod
    def work(self) -> None:
        """What is to be done with every archive."""

    @abc.abstractmethod
    def counted(self) -> dict[str, int]:
        """The report's own figures, as fields of `ended`."""

    def asked(self) -> dict[str, Any]:
        """What is asked for beside a dry run, as fields of `begun`."""
        return {}

    def tick(self) -> None:
        """Keep the leases, and stop where that was asked for."""
        self._stop.check()
        for lease in self._leases:
            lease.keep()

    def each(self, stage: str) -> Iterator[Listed]:
        """Everything that stands on the shelf, with the progress shown."""
        found = list(self.shelf.listed())
        self.watch.stage(stage)
        self.watch.begin("archives", len(found))
        for one in found:
            self.tick()
            yield one
            self.watch.advance(1)
        self.watch.end()


def archive_row(object_name: str) -> Archive | None:
    """The archive in Django's database whose object this is."""
    return Archive.objects.filter(object_name=object_name).first()


def row_manifest(row: Archive) -> Manifest:
    """The manifest that Django's database has; NotProven when that is none, or another's."""
    try:
        manifest = Manifest.from_json(row.manifest)
    except NotProven as error:
        raise NotProven(f"{row.object_name}: what Django's database has {error}") from None
    if manifest.object_name != row.object_name:
        raise NotProven(
            f"{row.object_name}: Django's database has the manifest of {manifest.object_name}"
        )
    return manifest


def rows_without_object(known: set[str]) -> Iterator[tuple[str, str, str]]:
    """Object name, state and key id of the archives in Django's database that are not `known`."""
    rows = Archive.objects.order_by("id").values_list("object_name", "state", "key_id")
    return (row for row in rows.iterator() if row[0] not in known)
