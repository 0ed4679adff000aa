"""What the layer's commands have in common: examples in --help, and exit statuses of which each
means one thing."""

from __future__ import annotations

import sys
from argparse import RawDescriptionHelpFormatter
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandParser


class ToolCommand(BaseCommand):
    """A command whose `epilog` stands below its options, and that fails with 1.

    argparse ends with 2 for a wrong argument; a migration's 2 says that data differ.
    """

    epilog = ""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.update(epilog=self.epilog, formatter_class=RawDescriptionHelpFormatter)
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        if not getattr(self, "_called_from_command_line", False):
            return parser

        def fail(message: str) -> NoReturn:
            parser.print_usage(sys.stderr)
            sys.stderr.write(f"{subcommand}: {message}\n")
            sys.exit(1)

        parser.error = fail  # type: ignore[method-assign]
        return parser
