"""Django's settings, by environment. To import this is to read `.env`: whatever is imported after
it, and reads the environment, sees the same.
"""

from settings.environment import configuration, forget, settings_module, start

start()

__all__ = ["configuration", "forget", "settings_module", "start"]
