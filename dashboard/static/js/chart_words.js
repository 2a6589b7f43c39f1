// The chart for those who do not see it: in one sentence, and as a table.

import { $, el, rebuilt } from "./dom.js";
import { PANELS, panelsOf, seriesName } from "./figure.js";
import { amount, localTime, number, time } from "./format.js";

/** The newest value of a complete bucket: the last bucket is still filling. */
export function newest(series, field) {
  const complete = pointsOf(series).filter((point) => point?.complete !== false && number(point?.[field]) !== null);
  return complete.at(-1)?.[field];
}

/** Whether anything at all is known of a series. */
export const somethingKnown = (series) =>
  pointsOf(series).some((point) => Object.values(PANELS).some(({ field }) => number(point?.[field]) !== null));

/** What the chart shows, as sentences. */
export function inWords(series, view) {
  if (!series.some(somethingKnown))
    return `Nothing is known about the last ${view.window} yet. The first calls show here within seconds.`;
  const sentences = series.map((one) => {
    const parts = panelsOf(view.unit).map((panel) => sentence(one, PANELS[panel]));
    return `${seriesName(one) || "total"}: ${parts.join("; ")}.`;
  });
  return `Last ${view.window}. ${sentences.join(" ")}`;
}

function sentence(series, panel) {
  const known = pointsOf(series)
    .map((point) => number(point?.[panel.field]))
    .filter((value) => value !== null);
  if (known.length === 0) return `${panel.title} unknown`;
  const now = amount(newest(series, panel.field));
  return `${panel.title} ${now} now, ${amount(Math.min(...known))} to ${amount(Math.max(...known))}`;
}

/** Fills the table under the chart while it is open. */
export function showData(series, view, signature) {
  const details = $("#chart-data");
  if (!details.open) return;
  const columns = series.flatMap((one) => panelsOf(view.unit).map((panel) => ({ one, panel: PANELS[panel] })));
  const names = columns.map(({ one, panel }) => [seriesName(one) || "total", panel.unit]);
  rebuilt($("thead", details), names, () => [headings(names)]);
  rebuilt($("tbody", details), [signature, names], () =>
    pointsOf(series[0])
      .map((point, at) => dataRow(point, columns, at))
      .reverse(),
  );
}

const pointsOf = (series) => (Array.isArray(series?.points) ? series.points : []);

function headings(names) {
  const cells = names.map(([name, unit]) =>
    el("th", { scope: "col", class: "number" }, name, el("span", { class: "unit" }, unit)),
  );
  return el("tr", {}, el("th", { scope: "col" }, "time"), cells);
}

function dataRow(point, columns, at) {
  const moment = time(point?.time);
  const open = point?.complete === false ? " (not complete)" : "";
  const cells = columns.map(({ one, panel }) =>
    el("td", { class: "number" }, amount(pointsOf(one)[at]?.[panel.field])),
  );
  return el("tr", {}, el("th", { scope: "row" }, (moment ? localTime(moment) : "unknown") + open), cells);
}
