"""Make the example week: its readings, and the two pictures of docs/consumption.md.

    python docs/example-week/draw.py            writes readings.csv, events.csv and two .html files

The pages are then photographed with a browser; the pictures beside this file were made that way.
"""

import csv
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import plotly.graph_objects as go

from server.imports.consumption import Settings, consumption
from server.imports.counter_csv import read_counters, read_replacements
from server.periods import Step
from server.rollup.model import Grade

HERE = Path(__file__).parent
ZONE = ZoneInfo("Asia/Shanghai")
START = datetime(2026, 3, 2, tzinfo=ZONE)
WIDTH = 100_000.0
COLOURS = {
    Grade.MEASURED: "#2a7f72", Grade.ESTIMATED: "#d98e32", Grade.MANUAL: "#5b6fb5",
    Grade.MISSING: "#c9c9c9",
}  # fmt: skip


def use(hour: int) -> float:
    """Give the true use of an hour of the week, kWh."""
    day, clock = divmod(hour, 24)
    if day >= 5:
        return 4.0
    return 12.0 if 8 <= clock < 18 else 3.0


def readings() -> list[tuple[datetime, float]]:
    """Give what arrives: (time, register)."""
    out = []
    register = 99_500.0
    for hour in range(7 * 24 + 1):
        shown = register % WIDTH
        if 26 < hour <= 32:
            shown = out[26][1]  # Tuesday 02:00 to 08:00: the display stands still
        if hour == 51:
            shown = round(shown * 65_536 % 4_000_000_000, 1)  # Wednesday 03:00: nonsense
        away = 34 < hour < 40  # Tuesday 11:00 to 15:00: the agent is away
        away |= 152 < hour < 157  # Sunday 09:00 to 12:00
        if not away:
            out.append((START + timedelta(hours=hour), round(shown, 1)))
        register += use(hour)
        if hour == 81:  # Thursday 09:30: another meter, closing and opening written down
            register = 12.0 + use(hour) / 2
        if hour == 131:  # Saturday 11:20: the register begins again, and nobody knows
            register = use(hour) * 2 / 3
    return out


def main() -> None:
    """Write everything."""
    with (HERE / "readings.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["time", "A"])
        writer.writerows((f"{t:%Y-%m-%d %H:%M}", v) for t, v in readings())
    closing = 99_500.0 + sum(use(h) for h in range(81)) + use(81) / 2 - WIDTH
    events = f"time,meter,closing,opening\n2026-03-05 09:30,A,{closing:.1f},12.0\n"
    (HERE / "events.csv").write_text(events, "utf-8")
    settings = Settings(Step.HOUR, ZONE, WIDTH, 60 * 60_000, 20.0)
    series = read_counters(HERE / "readings.csv", ZONE)["A"]
    swaps = read_replacements(HERE / "events.csv", ZONE)["A"]
    r = consumption("A", series, swaps, settings)
    hours = [datetime.fromtimestamp(t / 1000, ZONE).replace(tzinfo=None) for t in r.starts_ms]
    _write("hours", "每小时用量 kWh（颜色为等级） / consumption by hour", [
        go.Bar(
            x=[h for h, g in zip(hours, r.grades, strict=True) if g == grade],
            y=[v for v, g in zip(r.values, r.grades, strict=True) if g == grade],
            name=name, marker_color=COLOURS[grade], width=3_600_000, offset=0,
        )
        for grade, name in ((Grade.MEASURED, "实测 measured"), (Grade.ESTIMATED, "估算 estimated"))
    ])  # fmt: skip
    times = [datetime.fromtimestamp(t / 1000, ZONE).replace(tzinfo=None) for t in series.times_ms]
    shown = [700.0 if v > WIDTH else v - WIDTH if v > WIDTH / 2 else v for v in series.values]
    title = "收到的读数（翻转前减去 100000；乱码画在顶端） / what arrived"
    _write("register", title, [
        go.Scatter(x=times, y=shown, mode="markers", marker={"size": 4, "color": "#2a7f72"}),
    ])  # fmt: skip


def _write(name: str, title: str, traces: list[object]) -> None:
    figure = go.Figure(traces)
    figure.update_layout(
        title=title, template="plotly_white", width=1200, height=420, bargap=0,
        font={"family": "Noto Sans CJK SC, sans-serif", "size": 14}, margin={"t": 60, "b": 40},
        legend={"orientation": "h", "y": 1.1, "x": 0.7}, showlegend=len(traces) > 1,
    )  # fmt: skip
    figure.update_xaxes(dtick=86_400_000, tickformat="%m-%d %a", tickangle=0)
    figure.write_html(
        HERE / f"{name}.html", include_plotlyjs=True, config={"displayModeBar": False}
    )


if __name__ == "__main__":
    main()
