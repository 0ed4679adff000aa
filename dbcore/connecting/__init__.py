"""Whether everything that is configured can be reached and used from here, and if not, what is
wrong and what to do. Nothing is written, nothing sent to people, nothing changed.
"""

from dbcore.connecting.asking import connect, names

__all__ = ["connect", "names"]
