"""`unlock_sign_in`: parse, call, print."""

from __future__ import annotations

import ipaddress
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError

from daylight.signin.addresses import counted
from daylight.signin.throttle import forget
from daylight.trail.signins import account
from dbcore.management.people import add_signature
from dbcore.management.tool import ToolCommand
from dbcore.retention.audit import Act, AuditFailed, audited

EPILOG = """
examples:
  ./manage.py unlock_sign_in --name boss --who "A. Operator" --why "rang me up"
  ./manage.py unlock_sign_in --address 203.0.113.7 --who … --why …    an office that is locked out
  ./manage.py unlock_sign_in --all --who … --why …                    everybody

What was counted is forgotten; the next attempts count anew. Nothing else is changed: a password
that is lost is set by `./manage.py changepassword`, an authenticator by
`./manage.py reset_authenticator`.

exit status: 0 done, 1 failed
"""


def address(text: str) -> str:
    """An address as attempts are counted by it."""
    try:
        return counted(ipaddress.ip_address(text))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no IP address") from None


class Command(ToolCommand):
    """Let those try again whose attempts to sign in are refused."""

    help = (
        "Ends a lock-out of the admin's sign-in before its time: of a name, of an address, of one "
        "from the other, or of everybody."
    )
    epilog = EPILOG

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--name", metavar="USERNAME", default="", help="attempts with this name"
        )
        parser.add_argument(
            "--address", metavar="IP", type=address,
            help="attempts from this address (of IPv6, from its /64)",
        )  # fmt: skip
        parser.add_argument("--all", action="store_true", help="all attempts")
        add_signature(parser, required=True)

    def handle(self, *args: Any, **given: Any) -> None:
        name, where = given["name"], given["address"] or ""
        if bool(name or where) == given["all"]:
            raise CommandError("whose? --name USERNAME, --address IP, both, or --all")
        details = {"all": given["all"], "address": where}
        details |= account({"username": name}) if name else {}
        act = Act("unlock_sign_in", "sign_in", given["who"], given["why"], details=details,
                  kind="sign_in")  # fmt: skip
        try:
            with audited(act):
                count = forget(name=name, address=where)
        except AuditFailed as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"unlocked: {count} counters of attempts are gone")
