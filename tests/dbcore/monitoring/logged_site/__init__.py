"""A small site whose log is looked at."""
