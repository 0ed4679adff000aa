"""`configuration`: parse, call, print."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError
from django.conf import settings
from django.core.management.base import CommandError
from rich.table import Table

from dbcore.configuration.aws import EVERYWHERE, AwsName, keys_set, variables_set
from dbcore.configuration.reading import Configuration, Value
from dbcore.management.options import add_format
from dbcore.management.tool import ToolCommand
from dbcore.monitoring.configured import configuration_in_force
from dbcore.printable import printable
from dbcore.terminal import Screen, escape

EPILOG = """
examples:
  ./manage.py configuration                        what is in force
  ./manage.py configuration --set                  what somebody has said, alone
  ./manage.py configuration DB_ DYNAMODB_REGION    these, and those that begin so
  ./manage.py configuration --format json          for programs

A value that is a secret, or has one in it, is never shown. docs/configuration.md describes every
variable; what is wrong with one is said by every command, which then does not start.

exit status: 0 shown, 1 failed
"""


class Command(ToolCommand):
    """Say what is in force."""

    help = (
        "Shows what every variable is, where that came from (the environment, a file, the "
        "default), which names are set and do nothing, and which of AWS's variables and profile "
        "keys do not count for DynamoDB."
    )
    epilog = EPILOG

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "name", nargs="*", metavar="NAME", help="only these variables, or those that begin so"
        )
        parser.add_argument(
            "--set", action="store_true", dest="only_set", help="only what is not the default"
        )
        add_format(parser)

    def handle(self, *args: Any, **given: Any) -> None:
        found = configuration_in_force()
        if found is None:
            raise CommandError(
                "the settings were not made by dbcore.configuration: nobody knows where they come "
                "from. docs/configuration.md says how a project uses it"
            )
        names = tuple(given["name"])
        chosen = [
            each
            for each in found.values.values()
            if (not names or each.variable.name.startswith(names))
            and (each.is_set or not given["only_set"])
        ]
        if names and not chosen and not given["only_set"]:
            raise CommandError(
                f"there is no variable {', '.join(names)}: see docs/configuration.md"
            )
        if given["format"] == "json":
            self.json(_as_json(found, chosen))
        else:
            self._print(found, chosen)

    def _print(self, found: Configuration, chosen: list[Value]) -> None:
        console = Screen(self.stdout)
        console.print(f"environment: [bold]{found.environment}[/] ({escape(_said())})")
        console.print(_variables(chosen))
        for notice in found.notices:
            console.print(f"[yellow]note:[/] {escape(notice.text)}")
        names = list(aws_names(found))
        if names:
            console.print(_aws(names))


def _said() -> str:
    return str(getattr(settings, "DBCORE_ENVIRONMENT_SAID", "") or "nobody has said it")


def _variables(chosen: list[Value]) -> Table:
    table = Table("variable", "value", "from", box=None, pad_edge=False)
    group = ""
    for each in chosen:
        if each.variable.group != group:
            group = each.variable.group
            table.add_row(f"[bold cyan]{escape(group)}[/]")
        style = "bold" if each.is_set else "dim"
        table.add_row(
            f"[{style}]{each.variable.name}[/]", escape(printable(each.shown)), escape(each.origin)
        )
    return table


def _aws(names: list[AwsName]) -> Table:
    table = Table("of AWS", "from", "honoured", "instead", box=None, pad_edge=False)
    for each in names:
        style = "dim" if each.honoured == EVERYWHERE else "yellow"
        table.add_row(
            escape(printable(each.name)), escape(each.where), f"[{style}]{each.honoured}[/]",
            escape(each.why),
        )  # fmt: skip
    return table


def aws_names(found: Configuration) -> Iterator[AwsName]:
    """What of AWS is set: variables, and the keys of the profile in use."""
    yield from variables_set(found.texts)
    session = botocore.session.get_session()
    try:
        profile = session.profile or "default"
        keys = session.full_config.get("profiles", {}).get(profile, {})
    except BotoCoreError as error:
        raise CommandError(f"AWS's configuration file cannot be read: {error}") from error
    yield from keys_set(profile, keys)


def _as_json(found: Configuration, chosen: list[Value]) -> dict[str, Any]:
    return {
        "environment": found.environment,
        "said": _said(),
        "variables": [
            {
                "name": each.variable.name,
                "value": each.shown,
                "from": each.origin,
                "secret": each.variable.secret,
                "group": each.variable.group,
            }
            for each in chosen
        ],
        "notices": [{"name": each.name, "text": each.text} for each in found.notices],
        "aws": [
            {"name": each.name, "from": each.where, "honoured": each.honoured,
             "why": each.why}
            for each in aws_names(found)
        ],
    }  # fmt: skip
