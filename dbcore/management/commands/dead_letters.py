"""`dead_letters`: parse, call, print."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError

from dbcore.management.options import add_format
from dbcore.management.tool import ToolCommand
from dbcore.migration.replay import describe, open_letters, replay
from dbcore.models import DeadLetter

EPILOG = """
examples:
  ./manage.py dead_letters                      list the open ones
  ./manage.py dead_letters show 12              one, with its whole row
  ./manage.py dead_letters replay               try all again, after a repair of the source
  ./manage.py dead_letters replay --table users

exit status of replay: 0 none is left of those tried, 3 some are still dead letters, 1 failed
"""


class Command(ToolCommand):
    """List, show and replay the rows that could not be items."""

    help = "Lists, shows and replays the rows that migrate_to_dynamo could not make items of."

    epilog = EPILOG

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", nargs="?", choices=("list", "show", "replay"), default="list")
        parser.add_argument("letter", nargs="?", type=int, help="the number of one, for show")
        parser.add_argument(
            "--table", action="append", default=[], metavar="NAME",
            help="those of this source or target table; may be repeated",
        )  # fmt: skip
        parser.add_argument("--all", action="store_true", help="list resolved ones too")
        add_format(parser)

    def act(self, given: Mapping[str, Any]) -> str:
        return f"{given['action']}_dead_letters"

    def handle(self, *args: Any, **given: Any) -> None:
        if given["action"] == "show":
            self._show(given["letter"])
        elif given["action"] == "replay":
            self._replay(given["table"], given["format"])
        else:
            self._list(given["table"], given["all"], given["format"])

    def _list(self, tables: list[str], resolved: bool, form: str) -> None:
        letters = open_letters(tables, resolved=resolved)
        if form == "json":
            self.json([describe(letter) for letter in letters.iterator(chunk_size=200)])
            return
        count = 0
        for letter in letters.defer("row").iterator(chunk_size=200):
            state = " (resolved)" if letter.resolved_at else ""
            self.say(f"{letter.pk:>6}  {letter.source_table} {letter.key}: {letter.reason}{state}")
            count += 1
        self.stdout.write(f"{count} dead letter{'' if count == 1 else 's'}")

    def _show(self, number: int | None) -> None:
        if number is None:
            raise CommandError("which one? `dead_letters` lists their numbers: `show 12`")
        letter = DeadLetter.objects.filter(pk=number).first()
        if letter is None:
            raise CommandError(f"there is no dead letter {number}; `dead_letters` lists them")
        self.json(describe(letter))

    def _replay(self, tables: list[str], form: str) -> None:
        found = replay(open_letters(tables))
        if form == "json":
            self.json(found.as_json())
        else:
            self.stdout.write(
                f"tried {found.tried}: {found.written} written, {found.unchanged} already there, "
                f"{found.newer} newer in DynamoDB, "
                f"{found.gone} gone from the source, {found.still_dead} still dead letters"
            )
        if found.error:
            self.tell(f"dead_letters: {found.error}")
        if found.exit_code:
            self.end(found)
