"""Runs, shows, stops or empties the local DynamoDB engine of this project.

It only parses, calls and prints: what may be started or stopped is decided in
``dbcore.local_engine.shared``, and nothing here may go around that.
"""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from dbcore import deployment
from dbcore.local_engine import EngineError, EngineState, SharedEngine, shared_engine
from dbcore.management.options import add_consent, agrees
from dbcore.management.tool import PlainCommand

DESCRIPTION = """\
The local DynamoDB engine, for development: no AWS account, no network.

Without an option this runs the engine until Ctrl-C. You rarely need that: with
DYNAMODB_ENDPOINT=local every command starts the engine when it needs it, and the last one to
end stops it. Run it here to keep it up between commands, to look into it with other tools, or
on a fixed port. Commands that start meanwhile use this engine; when you stop it here while one
of them still runs, the engine lives until that one ends.

examples:
  ./manage.py local_dynamodb                  run until Ctrl-C
  ./manage.py local_dynamodb --port 8000      the same, on port 8000
  ./manage.py local_dynamodb --in-memory      start empty, keep nothing
  ./manage.py local_dynamodb --status         is one running, and where?
  ./manage.py local_dynamodb --stop           stop one that was left behind
  ./manage.py local_dynamodb --reset          delete all local data
"""

RUNNING = """\
Local DynamoDB ({kind}) at {endpoint}
Data:     {data}
boto3:    boto3.client("dynamodb", endpoint_url="{endpoint}", region_name="{region}",
                       aws_access_key_id="local", aws_secret_access_key="local")
AWS CLI:  AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local \\
          aws dynamodb list-tables --region {region} --endpoint-url {endpoint}"""

KNOWN_PORT = """\
A web page that you open can reach it at a port that its maker knows, and read and change all that
is in it: no real people's records here. docs/local-engine.md says more."""

STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP.


class Command(PlainCommand):
    help = DESCRIPTION
    # The engine is needed before anything that could be checked against it.
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        kwargs["formatter_class"] = RawDescriptionHelpFormatter
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        action = parser.add_mutually_exclusive_group()
        add = action.add_argument
        add("--status", action="store_true", help="say what runs; exit code 0 = running, 1 = not")
        add("--stop", action="store_true", help="stop the engine, unless another command uses it")
        add("--reset", action="store_true", help="delete the data file; the engine must not run")
        add = parser.add_argument
        add("--force", action="store_true", help="with --stop: also when it is in use")
        add_consent(parser, "reset", "with --reset: do so without asking")
        add("--port", type=_port, help="listen on this port (default: LOCAL_DYNAMODB_PORT)")
        add("--in-memory", action="store_true", help="use no data file: start empty, keep nothing")
        add("--engine", choices=("dynoxide", "moto"), help="default: DYNAMODB_ENGINE")

    def handle(self, *args: Any, **options: Any) -> None:
        shared = shared_engine()
        try:
            if options["status"]:
                self._status(shared)
            elif options["stop"]:
                self._stop(shared, force=options["force"])
            elif options["reset"]:
                self._reset(shared, options)
            else:
                self._run(shared, options)
        except (EngineError, OSError) as error:  # OSError: a folder that we may not write to
            raise CommandError(str(error)) from error

    def _status(self, shared: SharedEngine) -> None:
        status = shared.status()
        if status is None:
            self.stdout.write("No local engine is running.")
            raise SystemExit(1)
        self._print_engine(status.state)
        self.stdout.write(f"Process:  {status.state.pid}, since {status.state.started}")
        self.stdout.write(f"In use:   {'yes' if status.in_use else 'no'}")
        self.stdout.write(f"Log:      {shared.files.log}")

    def _stop(self, shared: SharedEngine, *, force: bool) -> None:
        stopped = shared.stop(force=force)
        self.stdout.write("Stopped." if stopped else "No local engine is running.")

    def _reset(self, shared: SharedEngine, options: dict[str, Any]) -> None:
        if not agrees(self, f"Delete all data in {shared.files.data}?", "reset", options):
            raise CommandError("Nothing was deleted.")
        # Before: what the books have forgotten and is still there, the next start tells them again.
        if why := deployment.forget_local():
            self.stderr.write(f"Note: {why}.")
        deleted = shared.reset()
        self.stdout.write("\n".join(f"Deleted {path}" for path in deleted) or "There was no data.")

    def _run(self, shared: SharedEngine, options: dict[str, Any]) -> None:
        with _until_told_to_stop() as told:
            shared.acquire(
                kind=options["engine"], port=options["port"], in_memory=options["in_memory"]
            )
            try:
                status = shared.status()
                if status is not None:
                    self._print_engine(status.state)
                if options["port"] or settings.LOCAL_DYNAMODB_PORT:
                    self.stdout.write(KNOWN_PORT)
                self.stdout.write("Ctrl-C ends it.")
                self.stdout.flush()
                while not told.wait(1.0):
                    if not shared.is_running():
                        raise CommandError(f"The engine has ended; its log: {shared.files.log}")
            finally:
                shared.release()

    def _print_engine(self, state: EngineState) -> None:
        self.stdout.write(
            RUNNING.format(
                kind=state.kind,
                endpoint=state.endpoint,
                data=state.db_path or "in memory only, lost when the engine stops",
                region=getattr(settings, "DYNAMODB_REGION", "us-east-1"),
            )
        )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise ArgumentTypeError(f"{text} is no port number")
    return int(text)


@contextmanager
def _until_told_to_stop() -> Iterator[threading.Event]:
    """An event that Ctrl-C or a polite kill sets, so that the engine is always released."""
    told = threading.Event()

    def tell(_number: int, _frame: FrameType | None) -> None:
        told.set()

    numbers = [getattr(signal, name) for name in STOP_SIGNALS if hasattr(signal, name)]
    before = {number: signal.signal(number, tell) for number in numbers}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
