"use strict";
// Draws each .chart from the JSON inside it.  One function a chart; Plotly does the rest.
const COLOURS = ["#2f8577", "#e0a030", "#5b7fb8", "#9a6fb0"];
const LAYOUT = {
  margin: { l: 48, r: 16, t: 8, b: 36 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
  font: { family: '"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif', size: 12, color: "#445553" },
  legend: { orientation: "h", y: 1.12, x: 0 }, hovermode: "x unified", colorway: COLOURS,
  xaxis: { gridcolor: "#eef2f1", type: "category", nticks: 13, tickangle: 0 },
  yaxis: { gridcolor: "#e6ecea", rangemode: "tozero", tickformat: ",~r" },
};
const CHARTS = {
  curve: (d) => [[
    { x: d.times, y: d.yesterday, name: "昨日", mode: "lines", line: { color: "#b4c4c1", width: 2 } },
    { x: d.times.slice(0, d.today.length), y: d.today, name: "今日", mode: "lines", line: { color: "#14695f", width: 2.5 }, fill: "tozeroy", fillcolor: "rgba(47,133,119,.10)" },
  ], {}],
  split: (d) => [[
    { type: "pie", labels: d.names, values: d.values, hole: 0.58, sort: false, textinfo: "percent", hovertemplate: "%{label} %{value:,.0f} kWh<extra></extra>", marker: { colors: COLOURS } },
  ], { hovermode: "closest", legend: { orientation: "h", y: -0.05, x: 0.5, xanchor: "center" }, margin: { l: 10, r: 10, t: 6, b: 30 } }],
  trend: (d) => [
    d.series.map((s) => ({ type: "bar", x: d.days, y: s.values, name: s.name })),
    { barmode: "stack", bargap: 0.25, showlegend: d.series.length > 1 },
  ],
  evidence: (d) => [[
    { x: d.times, y: d.power, name: d.name, mode: "lines", line: { color: "#14695f", width: 2 }, hovertemplate: "%{y} " + d.unit },
    { x: d.times, y: d.power.map((v, i) => (d.true[i] ? v : null)), name: "判定成立", mode: "lines", line: { width: 0 }, fill: "tozeroy", fillcolor: "rgba(224,140,40,.35)", hoverinfo: "skip" },
    ...(d.threshold ? [{ x: d.times, y: d.threshold, name: "门限", mode: "lines", line: { color: "#b3372f", width: 1.5, dash: "dash", shape: "hv" } }] : []),
    { x: d.times, y: d.floor, name: "预期底数", mode: "lines", line: { color: "#5b7fb8", width: 1.5, dash: "dot", shape: "hv" } },
    ...(d.persons ? [{ x: d.times, y: d.persons, name: "在场人数（右轴）", yaxis: "y2", mode: "lines", line: { color: "#9a6fb0", width: 1.5, shape: "hv" }, hovertemplate: "%{y} 人" }] : []),
  ], {
    margin: { l: 52, r: d.persons ? 48 : 16, t: 8, b: 46 },
    xaxis: { type: "date", gridcolor: "#eef2f1", tickformat: "%m-%d\n%H:%M", ticks: "outside", ticklen: 6, tickcolor: "transparent", hoverformat: "%m-%d %H:%M" },
    yaxis: { gridcolor: "#e6ecea", rangemode: "tozero", title: { text: d.unit } },
    yaxis2: { overlaying: "y", side: "right", rangemode: "tozero", showgrid: false, tickmode: "auto", nticks: 6, tickformat: ",d" },
    shapes: [
      { type: "rect", yref: "paper", x0: d.start, x1: d.end, y0: 0, y1: 1, fillcolor: "rgba(199,106,18,.06)", line: { width: 0 }, layer: "below" },
      { type: "line", yref: "paper", x0: d.fired, x1: d.fired, y0: 0, y1: 1, line: { color: "#b3372f", width: 1 } },
    ],
  }],
};
for (const box of document.querySelectorAll("[data-chart]")) {
  const data = JSON.parse(box.querySelector("script").textContent);
  const [traces, layout] = CHARTS[box.dataset.chart](data);
  Plotly.newPlot(box, traces, { ...LAYOUT, ...layout }, { displayModeBar: false, responsive: true });
}
