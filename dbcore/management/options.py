"""Options that mean the same in every command: the format of a report, whether progress is shown,
and what somebody agrees to. Nothing here may take silence for consent."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, _ArgumentGroup
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError

Group = ArgumentParser | _ArgumentGroup


def add_format(group: Group, help: str = "text for people (default), or JSON on one line") -> None:
    """--format."""
    group.add_argument("--format", choices=("text", "json"), default="text", help=help)


def add_quiet(group: Group) -> None:
    """--quiet."""
    group.add_argument("--quiet", action="store_true", help="no progress on standard error")


def add_no_input(group: Group) -> None:
    """--no-input."""
    group.add_argument(
        "--no-input", "--noinput", action="store_true",
        help="ask nothing: what would need a yes is refused, unless its own --accept-… is given",
    )  # fmt: skip


def add_consent(group: Group, what: str, help: str) -> None:
    """--accept-WHAT, which says yes beforehand, and --no-input."""
    group.add_argument(f"--accept-{what}", action="store_true", help=help)
    add_no_input(group)


def may_ask(given: Mapping[str, Any]) -> bool:
    """Whether there is somebody to ask, at a terminal."""
    return not given["no_input"] and sys.stdin.isatty() and sys.stderr.isatty()


def asked(command: BaseCommand, question: str) -> bool:
    """Whether the person at the terminal says yes."""
    command.stderr.write(f"{question} [y/N]", ending=" ")
    return input().strip().lower() in ("y", "yes")


def agrees(command: BaseCommand, question: str, what: str, given: Mapping[str, Any]) -> bool:
    """Whether somebody agrees: by --accept-WHAT, or at the terminal. CommandError where nobody may
    be asked."""
    if given[f"accept_{what.replace('-', '_')}"]:
        return True
    if not may_ask(given):
        raise CommandError(f"{question} Nobody is asked: say --accept-{what} if that is meant")
    return asked(command, question)
