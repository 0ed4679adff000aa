"""What was measured over time, as charts: SVG inside a page, with neither a script nor a style in
it. How it looks is said in static/dbcore/pages.css."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pygal
from django.utils.safestring import SafeString, mark_safe

# pygal's hook for plug-ins, of which we have none, has no find_spec: on Python 3.11 every import
# after it would warn.
sys.meta_path[:] = [each for each in sys.meta_path if type(each).__module__ != "pygal"]

POINTS = 60  # of a line, about


def line_chart(
    title: str, moments: Sequence[dt.datetime], lines: Mapping[str, Sequence[float | None]]
) -> SafeString:
    """A line for each name over the same moments (UTC); None is a gap. Names are from closed sets:
    pygal escapes them all the same."""
    chart = pygal.Line(
        title=title, width=900, height=320, css=(), js=(), dots_size=1.5,
        include_x_axis=True, min_scale=2, max_scale=5, legend_at_bottom=True,
        show_minor_x_labels=False, x_labels_major_every=max(len(moments) // 6, 1),
        truncate_label=-1, truncate_legend=-1, disable_xml_declaration=True,
        no_data_text="nothing was measured",
    )  # fmt: skip
    chart.x_labels = [f"{moment:%H:%M}" for moment in moments]
    for name, values in lines.items():
        chart.add(name, [None if value is None else round(value, 3) for value in values])
    chart.add_xml_filter(_bare)
    drawn: str = chart.render(is_unicode=True)
    return mark_safe(drawn)


def _bare(root: Any) -> Any:
    """Without what the page's policy would refuse: styles, and the script of pygal's tooltips."""
    for parent in root.iter():
        parent.attrib.pop("style", None)
        for child in list(parent):
            if child.tag in ("script", "style") or child.attrib.get("class") == "tooltip":
                parent.remove(child)
    return root
