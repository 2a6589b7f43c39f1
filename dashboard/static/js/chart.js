// The live chart: Plotly's drawing, a legend of real buttons, and the same numbers in words and as a table.

import { $, el, keyed, rebuilt, setAttribute, setText } from "./dom.js";
import { amount, localTime, number, time } from "./format.js";
import { PANELS, layout, uirevision, panelsOf, seriesName, traces } from "./figure.js";
import { colourOf } from "./palette.js";

const hidden = new Set();
const OPTIONS = { displayModeBar: false, responsive: true, doubleClick: "reset" };
const MOST_SERIES = 12;
let plotly = null;
let latest = null;
let bound = false;

/** Fetches Plotly from this server, beside everything else, so that the numbers do not wait for it. */
export function bindChart() {
  const chart = $("#chart");
  const script = el("script", { src: chart.dataset.plotly, async: true });
  script.addEventListener("load", () => { plotly = globalThis.Plotly ?? null; draw(); });
  script.addEventListener("error", () => setText($("#chart-text"), "The chart library did not load; the numbers are in the table below."));
  document.head.append(script);
  $("#reset-zoom").addEventListener("click", () => void plotly?.relayout(chart, { "xaxis.autorange": false, "xaxis.range": layoutNow().xaxis.range }));
  $("#legend").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const name = button.parentElement.dataset.key;
    if (!hidden.delete(name)) hidden.add(name);
    draw();
  });
  $("#chart-data").addEventListener("toggle", showData);
}

/** Shows one answer of /api/v1/throughput. */
export function showChart(answer, view) {
  const series = (Array.isArray(answer.series) ? answer.series : []).slice(0, MOST_SERIES);
  if (latest && uirevision(latest.view) !== uirevision(view)) $("#reset-zoom").hidden = true;
  latest = { answer: { ...answer, series }, view, of: answer.series?.length ?? 0 };
  draw();
}

function draw() {
  if (!latest) return;
  const { answer, view } = latest;
  keyed($("#legend"), answer.series, seriesName, () => el("li", {}, el("button", { type: "button" }, el("i"), el("span"), el("b"))), (item, series) => {
    const name = seriesName(series);
    setAttribute(item.firstElementChild, "aria-pressed", String(!hidden.has(name)));
    setText($("span", item), name || "total");
    setText($("b", item), amount(newest(series, PANELS[panelsOf(view.unit)[0]].field)));
    $("i", item).style.background = `var(${colourOf(name)})`;
  });
  $("#legend").hidden = answer.series.length < 2;
  showData();
  $("#chart").hidden = !answer.series.some((series) => somethingKnown(series));
  setText($("#chart-text"), inWords());
  $("#chart-text").classList.toggle("unseen", answer.series.length > 1);
  if (!plotly || $("#chart").hidden) return;
  const chart = $("#chart");
  void plotly.react(chart, traces(answer, view, colours, hidden), layoutNow(), OPTIONS);
  if (!bound) {
    bound = true;
    chart.on("plotly_relayout", (change) => {
      if ("xaxis.range[0]" in change) $("#reset-zoom").hidden = false;
      else if ("xaxis.range" in change || "xaxis.autorange" in change) $("#reset-zoom").hidden = true;
    });
  }
}

const somethingKnown = (series) => (series.points ?? []).some((point) => Object.values(PANELS).some(({ field }) => number(point?.[field]) !== null));

// The newest complete bucket: the last one is still filling.
function newest(series, field) {
  return (series.points ?? []).filter((point) => point?.complete !== false && number(point?.[field]) !== null).at(-1)?.[field];
}

function colours(name) {
  const line = styled(colourOf(name));
  return { line, area: `${line}24` };
}

const styled = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function layoutNow() {
  return layout(latest.answer, latest.view, {
    grid: styled("--line"), muted: styled("--muted"), text: styled("--text"), surface: styled("--surface"), font: styled("--sans"),
    size: 0.86 * Number.parseFloat(getComputedStyle(document.documentElement).fontSize),
  });
}

function inWords() {
  const { answer, view, of } = latest;
  if ($("#chart").hidden) return `Nothing is known about the last ${view.window} yet. The first calls show here within seconds.`;
  const words = answer.series.map((series) => panelsOf(view.unit).map((panel) => {
    const values = (series.points ?? []).map((point) => number(point?.[PANELS[panel].field]));
    const known = values.filter((value) => value !== null);
    if (known.length === 0) return `${seriesName(series) || "total"}: ${PANELS[panel].title} unknown`;
    return `${seriesName(series) || "total"}: ${PANELS[panel].title} ${amount(newest(series, PANELS[panel].field))} now, ${amount(Math.min(...known))} to ${amount(Math.max(...known))}`;
  }).join("; ")).join(". ");
  const bound = of > MOST_SERIES ? ` The first ${MOST_SERIES} of ${of} series are drawn.` : "";
  return `Last ${view.window}. ${words}.${bound}`;
}

function showData() {
  const details = $("#chart-data");
  if (!latest || !details.open) return;
  const { answer, view } = latest;
  const columns = answer.series.flatMap((series) => panelsOf(view.unit).map((panel) => ({ series, panel })));
  const times = answer.series[0]?.points ?? [];
  rebuilt($("thead", details), columns.map(({ series, panel }) => [seriesName(series), panel]), () => [el("tr", {}, el("th", { scope: "col" }, "time"),
    ...columns.map(({ series, panel }) => el("th", { scope: "col", class: "number" }, seriesName(series) || "total", el("span", { class: "unit" }, PANELS[panel].unit))))]);
  rebuilt($("tbody", details), [answer.window, columns.length, view.unit], () => times.map((point, at) => el("tr", {},
    el("th", { scope: "row" }, time(point.time) ? localTime(time(point.time)) : "unknown", point.complete === false ? " (not complete)" : null),
    ...columns.map(({ series, panel }) => el("td", { class: "number" }, amount(series.points?.[at]?.[PANELS[panel].field]))))).reverse());
}
