"""What the benchmark needs to know and to settle about the machine it runs on.

Pinning must never be claimed where the system does not offer it: ``pin`` says what it did.
"""

import os
import platform
import resource
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def can_pin() -> bool:
    return hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1


def pin(cpu: int, pid: int = 0) -> bool:
    """Pins this process, or another one with all its threads, to one core."""
    if not can_pin() or cpu < 0:
        return False
    threads = [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()] if pid else [0]
    for thread in threads:
        os.sched_setaffinity(thread, {cpu})
    return True


def peak_kib() -> int:
    """The most memory this process has had resident so far, in KiB."""
    # ru_maxrss alone may be the parent's: Linux carries it over from before exec. VmHWM is not.
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


def describe() -> dict[str, object]:
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
