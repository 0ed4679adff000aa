"""The text that Prometheus reads: of this process, or of all that share a folder of counters."""

from __future__ import annotations

from django.conf import settings
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder

from dbcore.monitoring.measure_wire import failed_to_measure
from dbcore.monitoring.multiprocess import Together
from dbcore.monitoring.pools import GAUGES
from dbcore.monitoring.switch import unmeasured


def exposition(accept: str) -> tuple[bytes, str]:
    """The metrics in the format that the Accept header asks for (OpenMetrics, or Prometheus' own
    text), and its content type."""
    with unmeasured():
        try:
            GAUGES.refresh()
        except Exception:
            failed_to_measure()  # the rest is worth reading
    registry: CollectorRegistry = REGISTRY
    if settings.PROMETHEUS_MULTIPROC_DIR:
        registry = CollectorRegistry()
        registry.register(Together(settings.PROMETHEUS_MULTIPROC_DIR))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
