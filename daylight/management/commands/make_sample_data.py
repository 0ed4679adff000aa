"""`make_sample_data`: fills the tables with sample records, to try things out. It must never mix
them with records that are there already.
"""

from __future__ import annotations

import time
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.models import Model
from django.utils import timezone

from daylight.sample_data import SMALLEST, counts, filled, sample
from dbcore import append_only
from dbcore.management.options import add_consent, agrees
from dbcore.management.tool import PlainCommand

BATCH = 1_000  # records in one INSERT at most; Django makes it fewer where the database needs that


class Command(PlainCommand):
    help = (
        "Fills the 19 tables with sample records: users with profiles in many scripts, plans,\n"
        "GPS walks, caches, analytics, API keys. They are consistent with one another and of all\n"
        "ages, so that a retention preview has something to show. One transaction: all or\n"
        "nothing.\n\n"
        "  ./manage.py make_sample_data                      about 20,000 rows, in seconds\n"
        "  ./manage.py make_sample_data --rows 500000 --seed 7\n"
        "  ./manage.py make_sample_data --clear --accept-clear   replaces what is there"
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # Keeps the lines of the examples above.
        kwargs.setdefault("formatter_class", RawDescriptionHelpFormatter)
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--rows", type=int, default=20_000, help="rows in all tables together (20000)"
        )
        parser.add_argument(
            "--seed", type=int, default=1, help="another number, another sample (1)"
        )
        parser.add_argument(
            "--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS", help="which database (default)"
        )
        parser.add_argument(
            "--clear", action="store_true", help="first delete EVERY record of the 19 tables"
        )
        add_consent(parser, "clear", "with --clear: do so without asking")

    def handle(self, **options: Any) -> None:
        alias, rows = options["database"], options["rows"]
        if alias not in connections:
            raise CommandError(
                f"There is no database {alias!r}; there are {', '.join(connections)}."
            )
        if rows < SMALLEST:
            raise CommandError(f"--rows must be at least {SMALLEST}.")
        models = list(counts(rows))
        _refuse_missing(models, alias)
        there = filled(alias)
        if there and not options["clear"]:
            raise CommandError(
                f"There are records in {', '.join(there)}: nothing was written."
                " Use --clear to delete them all first."
            )
        name = connections[alias].settings_dict["NAME"]
        question = f"Delete every record of {', '.join(there)} in database {alias!r} ({name})?"
        if there and not agrees(self, question, "clear", options):
            raise CommandError("Nothing was deleted and nothing was written.")
        started = time.monotonic()
        with transaction.atomic(using=alias):
            _clear(models, alias)
            written = _write(rows, options["seed"], alias)
        self._print(written, time.monotonic() - started)

    def _print(self, written: dict[str, int], seconds: float) -> None:
        for table, count in written.items():
            self.stdout.write(f"{table:<20}{count:>12,}")
        self.stdout.write(f"{'in all':<20}{sum(written.values()):>12,}")
        self.stderr.write(f"{seconds:.1f} s")


def _refuse_missing(models: list[type[Model]], alias: str) -> None:
    """CommandError when there are no tables yet."""
    missing = {model._meta.db_table for model in models}
    missing -= set(connections[alias].introspection.table_names())
    if missing:
        raise CommandError(
            f"No table {', '.join(sorted(missing))}: run migrate --database {alias} first."
        )


def _clear(models: list[type[Model]], alias: str) -> None:
    with append_only.lifted():
        for model in models:
            model._default_manager.using(alias).all().delete()


def _write(rows: int, seed: int, alias: str) -> dict[str, int]:
    """Rows written, by table."""
    written = {}
    for model, records in sample(rows, seed=seed, now=timezone.now()):
        table = model._meta.db_table
        written[table] = 0
        for batch in _batches(records):
            model._default_manager.using(alias).bulk_create(batch)
            written[table] += len(batch)
    return written


def _batches(records: Iterator[Model]) -> Iterator[list[Model]]:
    while batch := list(islice(records, BATCH)):
        yield batch
