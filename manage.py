#!/usr/bin/env python
"""Django's command line."""

import os
import sys

from settings import settings_module

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings_module())
    from django.core.management import execute_from_command_line

    from dbcore.monitoring.lines.crashes import watch_process

    watch_process()
    execute_from_command_line(sys.argv)
