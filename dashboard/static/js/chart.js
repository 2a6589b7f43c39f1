// The live chart: Plotly's drawing, a legend of real buttons, and a way back from zooming.

import { inWords, newest, showData, somethingKnown } from "./chart_words.js";
import { $, el, keyed, setAttribute, setText } from "./dom.js";
import { PANELS, layout, panelsOf, seriesName, traces, uirevision } from "./figure.js";
import { amount } from "./format.js";
import { colourOf } from "./palette.js";

const MOST_SERIES = 12;
const OPTIONS = { displayModeBar: false, responsive: true, doubleClick: "reset" };
const hidden = new Set();
let plotly = null;
let latest = null;

/** Fetches Plotly from this server, beside everything else, so that the numbers do not wait for it. */
export function bindChart() {
  const script = el("script", { src: $("#chart").dataset.plotly, async: true });
  script.addEventListener("load", () => {
    plotly = globalThis.Plotly ?? null;
    redraw();
  });
  script.addEventListener("error", () => {
    $("#chart-missing").hidden = false;
  });
  document.head.append(script);
  $("#reset-zoom").addEventListener("click", () => {
    const { range } = figureLayout().xaxis;
    void plotly?.relayout($("#chart"), { "xaxis.autorange": false, "xaxis.range": range });
  });
  $("#legend").addEventListener("click", (event) => {
    const name = event.target.closest("li")?.dataset.key;
    if (name === undefined) return;
    if (!hidden.delete(name)) hidden.add(name);
    redraw();
  });
  $("#chart-data").addEventListener("toggle", redraw);
}

/** Shows one answer of /api/v1/throughput. */
export function showChart(answer, view) {
  if (latest && uirevision(latest.view) !== uirevision(view)) $("#reset-zoom").hidden = true;
  const all = Array.isArray(answer.series) ? answer.series : [];
  latest = { window: answer.window, series: all.slice(0, MOST_SERIES), left: all.length - MOST_SERIES, view };
  redraw();
}

/** Draws the latest answer again, in the colours of now. */
export function redraw() {
  if (!latest) return;
  const { series, view, left } = latest;
  showLegend(series, view);
  showData(series, view, latest.window);
  const bound = left > 0 ? ` The first ${MOST_SERIES} series are drawn, ${left} are not.` : "";
  setText($("#chart-text"), inWords(series, view) + bound);
  // With several series the legend says it to those who see it.
  $("#chart-text").classList.toggle("unseen", series.length > 1 && left <= 0);
  const chart = $("#chart");
  chart.hidden = !series.some(somethingKnown);
  if (!plotly || chart.hidden) return;
  void plotly.react(chart, traces(series, view, colours, hidden), figureLayout(), OPTIONS);
  if (!chart.dataset.bound) {
    chart.dataset.bound = "yes";
    chart.on("plotly_relayout", showReset);
  }
}

function showReset(change) {
  if ("xaxis.range[0]" in change) $("#reset-zoom").hidden = false;
  else if ("xaxis.range" in change || "xaxis.autorange" in change) $("#reset-zoom").hidden = true;
}

function showLegend(series, view) {
  const { field } = PANELS[panelsOf(view.unit)[0]];
  const make = () => el("li", {}, el("button", { type: "button" }, el("i"), el("span"), el("b")));
  $("#legend").hidden = series.length < 2;
  keyed($("#legend"), series, seriesName, make, (item, one) => {
    const name = seriesName(one);
    setAttribute(item.firstElementChild, "aria-pressed", String(!hidden.has(name)));
    $("i", item).style.background = `var(${colourOf(name)})`;
    setText($("span", item), name || "total");
    setText($("b", item), amount(newest(one, field)));
  });
}

function colours(name) {
  const line = computed(colourOf(name));
  return { line, area: line.replace("rgb(", "rgba(").replace(")", ", 0.14)") };
}

// Plotly wants colours that no longer depend on the theme.
function computed(variable) {
  const probe = $("#throughput-title");
  probe.style.color = `var(${variable})`;
  const colour = getComputedStyle(probe).color;
  probe.style.color = "";
  return colour;
}

function figureLayout() {
  const root = getComputedStyle(document.documentElement);
  return layout(latest.window, latest.view, {
    grid: computed("--line"),
    muted: computed("--muted"),
    text: computed("--text"),
    surface: computed("--surface"),
    font: root.getPropertyValue("--sans").trim(),
    size: 0.86 * Number.parseFloat(root.fontSize),
  });
}
