// From an answer of /api/v1/throughput to what Plotly draws. Pure: no element is touched here.

import { number } from "./format.js";

const LONGEST_NAME = 100;

export const PANELS = {
  tps: { field: "tps_output", title: "output tok/s", unit: "tok/s" },
  tps_per_usd_h: { field: "tps_per_usd_h", title: "output tok/s per $/h", unit: "tok/s per $/h" },
};

/** Panels that a view shows, top first. */
export const panelsOf = (unit) => (unit === "both" ? ["tps", "tps_per_usd_h"] : [unit]);

/** The name of a series; '' for the total. */
export const seriesName = (series) =>
  Object.values(series?.labels ?? {})
    .filter(Boolean)
    .join(" / ");

// Plotly reads names as a small markup language; telemetry must stay text.
function literal(text) {
  const short = text.length > LONGEST_NAME ? `${text.slice(0, LONGEST_NAME)}…` : text;
  return short.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("%{", "%&#8203;{");
}

// Plotly draws dates as they are written: the viewer's wall clock goes in.
export function wallClock(date) {
  const two = (value, width = 2) => String(value).padStart(width, "0");
  return (
    `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ` +
    `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${two(date.getMilliseconds(), 3)}`
  );
}

/** Traces of every shown series in every shown panel. */
export function traces(series, view, colourFor, hidden) {
  const shown = series.filter((one) => !hidden.has(seriesName(one)));
  return panelsOf(view.unit).flatMap((panel, at) => {
    const yaxis = at === 0 ? "y" : "y2";
    // Plotly draws an axis only where a trace has it.
    const always = { type: "scatter", x: [null], y: [null], yaxis, hoverinfo: "skip" };
    const drawn = shown.flatMap((one) =>
      lines(one, PANELS[panel], yaxis, colourFor(seriesName(one)), shown.length === 1),
    );
    return [always, ...drawn];
  });
}

function lines(series, panel, yaxis, colour, alone) {
  const points = Array.isArray(series?.points) ? series.points : [];
  const x = points.map((point) => wallClock(new Date(point.time)));
  const y = points.map((point) => number(point?.[panel.field]));
  const newest = points.length - 1;
  const open = newest >= 0 && points[newest].complete === false;
  const settled = open ? y.map((value, at) => (at === newest ? null : value)) : y;
  const name = literal(seriesName(series) || "total");
  const common = {
    type: "scatter",
    yaxis,
    xaxis: "x",
    name,
    legendgroup: name,
    connectgaps: false,
    hovertemplate: `<b>${name}</b> %{y:.4~g} ${panel.unit}<extra></extra>`,
  };
  const whole = runs(settled).map(([start, end]) => ({
    ...common,
    mode: end - start === 1 ? "markers" : "lines",
    x: x.slice(start, end),
    y: settled.slice(start, end),
    line: { color: colour.line, width: 2 },
    marker: { color: colour.line, size: 5 },
    fill: alone ? "tozeroy" : "none",
    fillcolor: colour.area,
  }));
  if (!open || y[newest] === null) return whole;
  // Dotted from the bucket before; of that one only the line is drawn again.
  const first = Math.max(0, newest - 1);
  const ofNewest = (value, otherwise) => (first < newest ? [otherwise, value] : [value]);
  const filling = {
    ...common,
    mode: "lines+markers",
    x: x.slice(first),
    y: y.slice(first),
    line: { color: colour.line, width: 2, dash: "dot" },
    marker: { color: colour.line, size: 6, opacity: ofNewest(1, 0), symbol: "circle-open" },
    hovertemplate: ofNewest(`<b>${name}</b> %{y:.4~g} ${panel.unit}, not complete yet<extra></extra>`, ""),
    hoverinfo: ofNewest("all", "skip"),
  };
  return [...whole, filling];
}

// A gap is a gap: each run of known values is a line of its own, for Plotly's areas would bridge what is between them.
function runs(values) {
  const found = [];
  values.forEach((value, at) => {
    if (value === null) return;
    if (found.length && found.at(-1)[1] === at) found.at(-1)[1] = at + 1;
    else found.push([at, at + 1]);
  });
  return found;
}

/** Zoom survives as long as this stays the same. */
export const uirevision = (view) => `${view.window} ${view.by} ${view.unit}`;

/** Axes, fonts and colours. */
export function layout(window, view, colours) {
  const panels = panelsOf(view.unit);
  const axis = {
    gridcolor: colours.grid,
    zerolinecolor: colours.grid,
    linecolor: colours.grid,
    tickfont: { color: colours.muted },
    fixedrange: false,
  };
  const y = { ...axis, rangemode: "tozero", fixedrange: true, nticks: 4, tickformat: "~s", automargin: true };
  const range = [window?.start, window?.end].map((text) => wallClock(new Date(text)));
  return {
    uirevision: uirevision(view),
    paper_bgcolor: colours.surface,
    plot_bgcolor: colours.surface,
    font: { family: colours.font, size: colours.size, color: colours.text },
    margin: { l: 44, r: 10, t: 20, b: 28 },
    showlegend: false,
    hovermode: "x unified",
    hoversubplots: "axis",
    dragmode: "zoom",
    hoverlabel: { bgcolor: colours.surface, bordercolor: colours.grid, font: { color: colours.text }, namelength: 40 },
    xaxis: {
      ...axis,
      type: "date",
      range,
      anchor: panels.length === 2 ? "y2" : "y",
      showspikes: true,
      spikemode: "across",
      spikethickness: 1,
      spikedash: "solid",
      spikecolor: colours.muted,
      unifiedhovertitle: { text: "%{x|%H:%M:%S}" },
      tickformatstops: TICKS,
    },
    yaxis: { ...y, domain: panels.length === 2 ? [0.55, 1] : [0, 1] },
    ...(panels.length === 2 ? { yaxis2: { ...y, domain: [0, 0.42] } } : {}),
    annotations: panels.map((panel, at) => ({
      text: PANELS[panel].title,
      xref: "paper",
      yref: "paper",
      x: 0,
      xanchor: "left",
      xshift: -36,
      y: panels.length === 2 && at === 1 ? 0.42 : 1,
      yanchor: "bottom",
      showarrow: false,
      font: { size: colours.size, color: colours.muted },
    })),
  };
}

const TICKS = [
  { dtickrange: [null, 60_000], value: "%H:%M:%S" },
  { dtickrange: [60_000, 43_200_000], value: "%H:%M" },
  { dtickrange: [43_200_000, null], value: "%b %-d" },
];
