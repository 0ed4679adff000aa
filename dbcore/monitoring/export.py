"""The text that Prometheus reads: of this process, or of all that share a folder of counters."""

from __future__ import annotations

from django.conf import settings
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder

from dbcore.monitoring.measure_wire import failed_to_measure
from dbcore.monitoring.multiprocess import Together
from dbcore.monitoring.pools import GAUGES
from dbcore.monitoring.switch import unmeasured

# Of both formats: all that Prometheus itself asks for.
_VERSIONS = {"0.0.1", "0.0.4", "1.0.0", "2.0.0"}


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
    encode, content_type = choose_encoder(_known(accept))
    return encode(registry), content_type


def _known(accept: str) -> str:
    """Of an Accept header what asks for a version that there is: the library fails on one that is
    no version, and would give a later one's name to what it writes."""
    return ",".join(each for each in accept.split(",") if _has_known_version(each))


def _has_known_version(accepted: str) -> bool:
    _, *parameters = (each.strip() for each in accepted.split(";"))
    given = [each.partition("=")[2] for each in parameters if each.startswith("version=")]
    return set(given) <= _VERSIONS
