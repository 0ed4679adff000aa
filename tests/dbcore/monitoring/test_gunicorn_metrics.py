"""Real gunicorn with several workers: their counters add up, and stay when workers end."""

from __future__ import annotations

import re
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.dbcore.monitoring.served import Served, served, wait_for

WORKERS = 2
ASKED = 30


def sessions_read(server: Served) -> float:
    """How often a session was looked for, as /metrics says."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(server.metrics())
        for sample in family.samples
        if sample.name == "db_client_operation_duration_seconds_count"
        and sample.labels["db_collection_name"] == "django_session"
    )


def ask_often(server: Served) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: server.ask(), range(ASKED)))


def wait_until_shown(server: Served, asked: int) -> None:
    wait_for(lambda: sessions_read(server) >= asked, server.metrics)


def names(folder: Path, pattern: str) -> set[str]:
    return {each.name for each in folder.glob(pattern)}


def test_counters_add_up_over_workers_and_survive_their_end(tmp_path: Path) -> None:
    folder = tmp_path / "counters"
    folder.mkdir()
    (folder / "counter_1.db").write_bytes(b"of a server before this one")
    given = {"PROMETHEUS_MULTIPROC_DIR": str(folder), "DB_METRICS_INTERVAL": "0.5"}
    with served(tmp_path, WORKERS, **given) as server:
        asked, first = 0, set[str]()
        while len(first) < 2:  # until more than one worker has counted
            ask_often(server)
            asked += ASKED
            # Each worker shows what it has counted when it looks up next.
            wait_until_shown(server, asked)
            first = names(folder, "histogram_*.db")
        server.process.send_signal(signal.SIGHUP)  # new workers for all
        server.wait_for_workers(2 * WORKERS)
        wait_for(lambda: not first & names(folder, "histogram_*.db"), lambda: server.log)
        gone = {each.replace("histogram", "gauge_livesum") for each in first}
        assert not gone & names(folder, "gauge_*.db")
        assert sessions_read(server) == asked
        ask_often(server)
        asked += ASKED
        wait_until_shown(server, asked)
        assert sessions_read(server) == asked
        assert "dbcore_monitoring_failures_total{" not in server.metrics()
        assert server.stop() == 0
        assert not re.search(r"Traceback|Error|cannot", server.log), server.log
        assert not names(folder, "*_[0-9]*.db"), "no file of a process that is gone"
    assert_recorded(server, asked)


def assert_recorded(server: Served, asked: int) -> None:
    """What each worker counted is in the records, its last window too."""
    found = sqlite3.connect(server.database)
    rows = found.execute(
        'SELECT count, "window" FROM performance_metrics '
        "WHERE series = 'django_session#SELECT#sqlite'"
    ).fetchall()
    found.close()
    assert sum(count for count, _ in rows) == asked
    assert len({window.partition("#")[2] for _, window in rows}) > 2
