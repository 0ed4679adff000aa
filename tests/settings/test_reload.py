"""A server that reloads reads its file again; and where that is wrong now, it goes on as it was."""

from __future__ import annotations

import signal
import urllib.error
import urllib.request
from pathlib import Path

from tests.dbcore.monitoring.served import Served, served, wait_for

COUNTED = "db_client_operation_duration_seconds_count"


def status(server: Served, host: str) -> int:
    """What a page answers to who calls the site so."""
    request = urllib.request.Request(f"{server.url}/admin/login/", headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def reload(server: Served) -> None:
    server.process.send_signal(signal.SIGHUP)


def test_a_changed_file_is_read_and_a_broken_one_ends_nobody(tmp_path: Path) -> None:
    file = tmp_path / "some.env"

    def say(hosts: str, more: str = "") -> None:
        counters = f"PROMETHEUS_MULTIPROC_DIR={tmp_path / 'counters'}\n"
        file.write_text(f"DJANGO_ALLOWED_HOSTS={hosts}\n{counters}{more}")

    say("a.internal")
    with served(tmp_path, 1, DAYLIGHT_ENV_FILE=str(file), DB_METRICS_INTERVAL="0.5") as server:
        wait_for(lambda: status(server, "a.internal") == 200, lambda: server.log)
        assert status(server, "b.internal") == 400
        say("a.internal,b.internal,127.0.0.1")
        reload(server)
        wait_for(lambda: status(server, "b.internal") == 200, lambda: server.log)
        # What is in the file alone counts for what reads it when it is imported.
        server.ask()
        wait_for(lambda: COUNTED in server.metrics(), server.metrics)
        say("c.internal", "DB_ERROR_THRESHOLD=5%\n")
        reload(server)
        wait_for(lambda: "from before stays in force" in server.log, lambda: server.log)
        server.wait_for_workers(3)
        wait_for(lambda: status(server, "b.internal") == 200, lambda: server.log)
        assert status(server, "c.internal") == 400
        assert "DB_ERROR_THRESHOLD is '5%'" in server.log
        assert server.stop() == 0
