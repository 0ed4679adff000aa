"""docs/monitoring.md tells what is measured as the code declares it."""

from __future__ import annotations

import os
from pathlib import Path

from dbcore.monitoring.reporter import KEPT_WINDOWS
from dbcore.monitoring.slow import MAX_SHAPES
from dbcore.monitoring.specs import SPECS, Spec

PAGE = Path(__file__).resolve().parents[3] / "docs" / "monitoring.md"
BEGIN, END = "<!-- generated: metrics -->\n", "<!-- end -->"


def row(spec: Spec) -> str:
    name = spec.name + ("_total" if spec.kind == "counter" else "")
    labels = ", ".join(f"`{label}`" for label in spec.labels)
    convention = f"`{spec.convention}`" if spec.convention else ""
    return f"| `{name}` | {spec.kind} | {labels} | {spec.meaning} | {convention} |"


def table() -> str:
    head = ["| metric | kind | labels | meaning | OpenTelemetry |", "|---|---|---|---|---|"]
    return "\n".join([*head, *map(row, SPECS)]) + "\n"


def test_the_table_of_metrics_is_as_they_are_declared() -> None:
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    wanted = before + BEGIN + table() + END + after
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(wanted)
        text = wanted
    assert text == wanted, "docs/monitoring.md is old: UPDATE_DOCS=1 make test"


def test_the_numbers_in_the_text_are_the_codes() -> None:
    text = PAGE.read_text()
    assert f"{KEPT_WINDOWS} windows wait" in text
    assert f"the {MAX_SHAPES} shapes" in text
