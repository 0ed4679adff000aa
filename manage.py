#!/usr/bin/env python3
"""Django's command line, by the Python that `make setup` has installed the packages for."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

VENV = Path(__file__).resolve().parent / ".venv"


def main() -> None:
    """Do what the arguments say; where this Python has no Django, by the one that has."""
    if find_spec("django") is None or find_spec("environ") is None:
        python = VENV / "bin" / "python"
        if not os.access(python, os.X_OK) or Path(sys.prefix).resolve() == VENV.resolve():
            sys.exit("Django is not installed here: run `make setup` first.")
        os.execv(python, [str(python), *sys.argv])

    from settings import settings_module

    settings_module()
    from django.core.management import execute_from_command_line

    from dbcore.configuration import WrongConfiguration
    from dbcore.monitoring.lines.crashes import watch_process
    from settings.saying import say_where

    say_where()
    watch_process()
    try:
        execute_from_command_line(sys.argv)
    except WrongConfiguration as error:  # what only the models can tell
        sys.exit(f"Refused: {error}")


if __name__ == "__main__":
    try:
        main()
    except ModuleNotFoundError as error:
        error.add_note("`make setup` installs all packages that the project needs.")
        raise
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted.\n")
        sys.exit(130)
