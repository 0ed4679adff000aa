"""Would an alert reach anybody? Sends nothing: `manage.py send_test_alert` does."""

from __future__ import annotations

from django.conf import settings

from dbcore.errors import ConfigurationError
from dbcore.monitoring.health.verdicts import Context, Verdict, healthy, in_words, warning


def alert_channels(context: Context) -> Verdict:
    """Whether a channel of alerts is configured, and rightly."""
    # Not at the top: alerts are made of the results of this package.
    from dbcore.monitoring.alerts.channels import configured_channels

    if not settings.DB_ALERTS_ENABLED:
        return healthy("not in use: DB_ALERTS_ENABLED is false")
    try:
        names = list(configured_channels())
    except ConfigurationError as error:
        return warning(f"a channel is not configured rightly: {in_words(error)}")
    if not names:
        return warning(
            "no channel is configured, and alerts reach nobody: set ALERT_EMAIL_TO, or another of "
            "docs/alerts.md"
        )
    return healthy(f"configured: {', '.join(names)}; `manage.py send_test_alert` tries them")
