"""Who may sign in here at all."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend


class StaffBackend(ModelBackend):
    """Staff alone. Who is none fails as with a wrong password, and is counted so: else whoever
    guesses could tell by it. Who ceases to be staff is signed out with their next request."""

    def user_can_authenticate(self, user: Any) -> bool:
        return bool(super().user_can_authenticate(user) and getattr(user, "is_staff", False))
