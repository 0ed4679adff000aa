"""`reset_authenticator`: parse, call, print."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError

from daylight.signin.authenticator import remove
from daylight.trail.entries import staff
from dbcore.management.options import add_consent, agrees
from dbcore.management.people import add_signature
from dbcore.management.tool import ToolCommand
from dbcore.retention.audit import Act, AuditFailed, audited

EPILOG = """
examples:
  ./manage.py reset_authenticator boss --who "A. Operator" --why "lost the phone, known by voice"

Make sure that it is they who ask: after this a password is enough to set up another app.

exit status: 0 done, 1 failed
"""


class Command(ToolCommand):
    """For who has lost both the app and the recovery codes."""

    help = (
        "Takes a colleague's authenticator and recovery codes out of use. They sign in with their "
        "password, and set up another app."
    )
    epilog = EPILOG

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username", metavar="USERNAME", help="whose")
        add_signature(parser, required=True)
        add_consent(parser, "reset", "do so without asking")

    def handle(self, *args: Any, **given: Any) -> None:
        user = get_user_model()._default_manager.filter(username=given["username"]).first()
        if user is None:
            raise CommandError(f"there is no account {given['username']!r}")
        question = f"Take the authenticator of {user.get_username()} out of use?"
        if not agrees(self, question, "reset", given):
            raise CommandError("nothing was changed")
        act = Act("reset_authenticator", "sign_in", given["who"], given["why"],
                  details={"account": staff(user)}, kind="sign_in")  # fmt: skip
        try:
            with audited(act) as ending:
                found = remove(user)
                ending.details = {"found": found}
        except AuditFailed as error:
            raise CommandError(str(error)) from error
        had = "is out of use" if found else "there was none"
        self.stdout.write(f"authenticator of {user.get_username()}: {had}")
