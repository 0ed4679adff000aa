#!/usr/bin/env python
"""Django's command line."""

import sys

from settings import settings_module

if __name__ == "__main__":
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
