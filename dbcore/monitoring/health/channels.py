"""Would an alert reach anybody? Sends nothing: `manage.py send_test_alert` does."""

from __future__ import annotations

from django.conf import settings

from dbcore.monitoring.health.verdicts import Context, Verdict, healthy, in_words, warning


def alert_channels(context: Context) -> Verdict:
    """Whether a channel of alerts is configured, and rightly."""
    # Not at the top: alerts are made of the results of this package.
    from dbcore.monitoring.alerts.channels import read_channels

    if not settings.DB_ALERTS_ENABLED:
        return healthy("not in use: DB_ALERTS_ENABLED is false")
    channels, errors = read_channels()
    if errors:
        said = "; ".join(map(in_words, errors.values()))
        return warning(f"a channel is not configured rightly: {said}")
    if not channels:
        return warning(
            "no channel is configured, and alerts reach nobody: set ALERT_EMAIL, or another of "
            "docs/alerts.md"
        )
    return healthy(f"configured: {', '.join(channels)}; `manage.py send_test_alert` tries them")
