"""Health: one check for each part that can fail, each with a deadline of its own.

A check never raises and never holds up another.
"""

from dbcore.monitoring.health.results import CheckResult, Status, worst
from dbcore.monitoring.health.runner import CHECKS, run_checks

__all__ = ["CHECKS", "CheckResult", "Status", "run_checks", "worst"]
