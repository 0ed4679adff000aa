"""What the layer's commands have in common: examples in --help, and exit statuses of which each
means one thing."""

from __future__ import annotations

import json
import os
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NoReturn, Protocol

from django.conf import settings
from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    OutputWrapper,
    SystemCheckError,
)

from dbcore import logs
from dbcore.management.saying import Errors, Plain, Saying, is_logged
from dbcore.operators import operator
from dbcore.printable import printable, sentence
from dbcore.retention.audit import Act, accounted, noted
from dbcore.secrecy import Bare, mask_text, mask_texts


@contextmanager
def a_reader_may_leave() -> Iterator[None]:
    """Whoever reads standard output may have seen enough: exit with 1, and quietly."""
    try:
        yield
    except BrokenPipeError:
        # Nor may Python's own last flush of it fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)  # as rich does with its tables: not well, for nobody was told so


class Ended(Protocol):
    """A report of work that has ended."""

    @property
    def exit_code(self) -> int:
        """0: all is well."""


def _out_of(stream: OutputWrapper) -> Any:
    """The stream itself, which Django has wrapped."""
    return stream._out


class PlainCommand(BaseCommand):
    """A command that says what others have written: whatever stream it is given, their text is
    text there."""

    @property
    def stdout(self) -> Plain:
        """Where its report goes."""
        return self._stdout

    @stdout.setter
    def stdout(self, stream: OutputWrapper) -> None:
        self._stdout = stream if isinstance(stream, Plain) else Plain(_out_of(stream), "\n")

    @property
    def stderr(self) -> Plain:
        """Where it speaks to people."""
        return self._stderr

    @stderr.setter
    def stderr(self, stream: OutputWrapper) -> None:
        self._stderr = stream if isinstance(stream, Plain) else Errors(_out_of(stream), "\n")

    def say(self, text: str) -> None:
        """One line of the report."""
        self.stdout.write(printable(mask_text(text, bare=Bare.EQUALS)))

    def tell(self, text: str) -> None:
        """One sentence to whoever is there, beside the report."""
        self.stderr.write(sentence(text))

    def json(self, value: Any) -> None:
        """The report, for programs: one document on one line, so that it may be appended to a
        file of lines."""
        self.stdout.write(json.dumps(mask_texts(value), ensure_ascii=False))


class ToolCommand(PlainCommand):
    """A command whose `epilog` stands below its options, and that fails with 1.

    argparse ends with 2 for a wrong argument; a migration's 2 says that data differ.
    """

    epilog = ""

    def act(self, given: Mapping[str, Any]) -> str:
        """What the audit trail calls this call; "" for one that changes and shows no record, or
        writes its own entries there."""
        return ""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.update(epilog=self.epilog, formatter_class=RawDescriptionHelpFormatter)
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        if not getattr(self, "_called_from_command_line", False):
            return parser

        def fail(message: str) -> NoReturn:
            parser.print_usage(sys.stderr)
            sys.stderr.write(f"{subcommand}: {printable(message)}\n")
            sys.exit(1)

        parser.error = fail  # type: ignore[method-assign]
        return parser

    def run_from_argv(self, argv: list[str]) -> None:
        logs.this_process_is(self._name())
        if is_logged():
            self.stderr = Saying(sys.stderr)
        super().run_from_argv(argv)

    def execute(self, *args: Any, **given: Any) -> str | None:
        with logs.command(self._name(), quiet=bool(given.get("quiet"))):
            try:
                return self._execute(*args, **given)
            except CommandError as error:
                if not isinstance(error, SystemCheckError):  # which has lines of its own
                    error.args = (sentence(str(error)),)
                if isinstance(self.stderr, Saying):
                    self.stderr.failure = error  # which Django writes there next
                raise

    def _execute(self, *args: Any, **given: Any) -> str | None:
        with ExitStack() as around:
            if settings.SENTRY_DSN:
                from dbcore.monitoring.sentry.commands import watched

                around.enter_context(watched(self._name()))
            self._account(given, around)
            return super().execute(*args, **given)

    def _account(self, given: Mapping[str, Any], around: ExitStack) -> None:
        """See that the audit trail has this call: who says so, and the account that runs it."""
        who, why = given.get("who") or operator().user, given.get("why") or ""
        action = self.act(given)
        if not (action or "who" in given):
            return
        # Its run's id, which its records have, too; a new one would take that away from them.
        run = logs.ids()["run_id"]
        act = Act(action or self._name(), "command", who, why, id=run, kind="command")
        around.enter_context(noted(act) if action else accounted(act))

    def end(self, report: Ended) -> NoReturn:
        """Exit with the status of what was done; Sentry is told of a failure."""
        if settings.SENTRY_DSN:
            from dbcore.monitoring.sentry.commands import ended

            ended(self._name(), report)
        sys.exit(report.exit_code)

    def _name(self) -> str:
        return type(self).__module__.rpartition(".")[2]
