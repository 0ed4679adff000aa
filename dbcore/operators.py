"""Who runs this process, as the operating system knows it. Nothing here believes the environment,
which whoever starts a process chooses."""

from __future__ import annotations

import os
import platform
import pwd
from dataclasses import dataclass
from pathlib import Path

# The account that somebody signed in to, which su and sudo leave as it is. Source: proc(5).
_LOGIN_UID = Path("/proc/self/loginuid")
_NOBODY = 2**32 - 1  # of a process that no sign-in has led to


@dataclass(frozen=True, slots=True)
class Operator:
    """An account of a machine. `login`: the one that was signed in to, where the kernel knows it
    and it is another; else ""."""

    user: str
    host: str
    login: str = ""

    def __str__(self) -> str:
        behind = f" (signed in as {self.login})" if self.login else ""
        return f"os:{self.user}@{self.host}{behind}"


def operator() -> Operator:
    """The account that this process runs as."""
    user, login = _name(os.getuid()), _login_uid()
    behind = "" if login is None or _name(login) == user else _name(login)
    return Operator(user, platform.node() or "unknown", behind)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a container's user may have no name
        return f"uid {uid}"


def _login_uid() -> int | None:
    try:
        uid = int(_LOGIN_UID.read_text())
    except (OSError, ValueError):
        return None
    return None if uid == _NOBODY else uid
