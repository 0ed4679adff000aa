"""`legal_hold`: parse, call, print."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.core.management.base import CommandError
from django.utils import timezone

from dbcore import bookkeeping
from dbcore.errors import DbcoreError
from dbcore.management.options import add_format
from dbcore.management.people import end_of, for_the_books
from dbcore.management.tool import ToolCommand
from dbcore.models import LegalHold
from dbcore.retention.holds import (
    Subject,
    described,
    is_active,
    lift_hold,
    place_hold,
    record_subject,
    table_subject,
    user_subject,
)
from dbcore.rights import in_words

EPILOG = """
examples:
  ./manage.py legal_hold place --user user_42 --who "A. Counsel" --why "case 7/2026"
  ./manage.py legal_hold place --table audit_logs --until 2027-06-30 --who … --why …
  ./manage.py legal_hold place --record plans user_42 plan_7 --who … --why …
  ./manage.py legal_hold list
  ./manage.py legal_hold lift 0199… --who "A. Counsel" --why "case closed"

Once `place` has returned, no sweep and no erasure deletes what the hold is on. A date for --until
is the last day of the hold (UTC). A call that was killed is completed by the same call again.

exit status: 0 done, 1 failed
"""


class Command(ToolCommand):
    """Place, lift and list legal holds."""

    help = "Places, lifts and lists legal holds: what one is on, no sweep and no erasure deletes."

    epilog = EPILOG

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=("place", "lift", "list"), help="place, lift or list")
        parser.add_argument("hold", nargs="?", metavar="HOLD_ID", help="lift: which one")
        on = parser.add_argument_group("place: on what")
        on.add_argument("--user", metavar="ID", help="a user, and every record of theirs")
        on.add_argument("--table", metavar="NAME", help="a whole table")
        on.add_argument(
            "--record", nargs="+", metavar=("TABLE", "KEY"),
            help="one record, by its table and the fields of its key",
        )  # fmt: skip
        on.add_argument(
            "--until", type=end_of, metavar="DATE", help="its last day (default: until lifted)"
        )
        parser.add_argument(
            "--who", metavar="NAME", type=for_the_books, help="place, lift: who says so; audited"
        )
        parser.add_argument(
            "--why", metavar="TEXT", type=for_the_books, help="place, lift: the reason; audited"
        )
        parser.add_argument("--all", action="store_true", help="list: those that have ended too")
        add_format(parser)

    def handle(self, *args: Any, **given: Any) -> None:
        try:
            bookkeeping.make_ready()
            getattr(self, f"_{given['action']}")(given)
        except (DbcoreError, BotoCoreError, ClientError) as error:
            raise CommandError(in_words(error)) from error

    def _place(self, given: dict[str, Any]) -> None:
        subject = self._subject(given)
        placed = place_hold(
            subject,
            who=given["who"] or "",
            why=given["why"] or "",
            until=given["until"],
            now=timezone.now(),
        )
        for warning in placed.warnings:
            self.tell(f"warning: {warning}")
        if given["format"] == "json":
            self.json(_as_json(placed.hold))
        else:
            done = "placed" if placed.is_new else "in force already"
            self.say(f"{done}: {described(placed.hold)}")

    def _subject(self, given: dict[str, Any]) -> Subject:
        chosen = [name for name in ("user", "table", "record") if given[name] is not None]
        if len(chosen) != 1 or given["hold"] is not None:
            raise CommandError("place takes exactly one of --user ID, --table NAME, --record …")
        if chosen == ["user"]:
            return user_subject(given["user"])
        if chosen == ["table"]:
            return table_subject(given["table"])
        table, *key = given["record"]
        return record_subject(table, key)

    def _lift(self, given: dict[str, Any]) -> None:
        if given["hold"] is None:
            raise CommandError("which one? `legal_hold list` names them: `legal_hold lift HOLD_ID`")
        lifted = lift_hold(
            given["hold"], who=given["who"] or "", why=given["why"] or "", now=timezone.now()
        )
        self.say(f"legal hold {given['hold']}: {'lifted' if lifted else 'lifted before'}")

    def _list(self, given: dict[str, Any]) -> None:
        now = timezone.now()
        holds = [h for h in LegalHold.objects.iterator() if given["all"] or is_active(h, now)]
        if given["format"] == "json":
            self.json([_as_json(hold) for hold in holds])
            return
        for hold in holds:
            ended = "" if is_active(hold, now) else " [ended]"
            self.say(f"{described(hold)}{ended}")
        self.say(f"{len(holds)} legal hold{'' if len(holds) == 1 else 's'}")


def _as_json(hold: LegalHold) -> dict[str, Any]:
    times = ("placed_at", "until", "lifted_at")
    texts = ("id", "scope", "table", "subject", "reason", "placed_by", "lifted_by", "lift_reason")
    found = {name: getattr(hold, name) for name in texts}
    found |= {
        name: None if (at := getattr(hold, name)) is None else at.isoformat() for name in times
    }
    return found | {"active": is_active(hold, timezone.now())}
