"""Django's settings, by environment. To import this is to read `.env`: whatever is imported after
it, and reads the environment, sees the same.
"""

from settings.environment import configuration, read_anew, settings_module, start

start()

__all__ = ["configuration", "read_anew", "settings_module", "start"]
