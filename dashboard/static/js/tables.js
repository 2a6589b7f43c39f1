// Usage by model and by pipeline, and the traffic that has no price.

import { $, $$, el, keyed, rebuilt, setAttribute, setText } from "./dom.js";
import { UNKNOWN, amount, count, number, percent } from "./format.js";

const MOST_ROWS = 25;
const BASES = { capacity: "pool", api: "API list", unknown: UNKNOWN };

const quantity = (id) => (row) => row.quantities?.[id];
const latency = (id) => (row) => row.latency?.[id];
const COLUMNS = {
  calls: [quantity("calls"), count],
  errors: [quantity("errors"), count],
  "tps.output": [(row) => row.quantities?.tps?.output, amount],
  "tps.input": [(row) => row.quantities?.tps?.input, amount],
  input_tokens: [quantity("input_tokens"), amount],
  output_tokens: [quantity("output_tokens"), amount],
  cached_share: [quantity("cached_share"), percent],
  time_to_first_token_p50_seconds: [latency("time_to_first_token_p50_seconds"), amount],
  time_to_first_token_p95_seconds: [latency("time_to_first_token_p95_seconds"), amount],
  duration_p95_seconds: [latency("duration_p95_seconds"), amount],
  usd_per_mtok_blended: [quantity("usd_per_mtok_blended"), amount],
  tps_per_usd_h: [quantity("tps_per_usd_h"), amount],
};

/** Shows the tables of one answer of /api/v1/summary. */
export function showTables(summary) {
  showTable("model", summary.models);
  showTable("pipeline", summary.pipelines);
  showUnpriced(Array.isArray(summary.unpriced) ? summary.unpriced : []);
}

function showTable(by, given) {
  const section = $(`#by-${by}`);
  const rows = Array.isArray(given) ? given : [];
  const columns = $$("thead th", section).map((header) => header.dataset.column);
  keyed(
    $("tbody", section),
    rows.slice(0, MOST_ROWS),
    (row) => JSON.stringify(row.labels ?? {}),
    () => newRow(columns),
    (element, row) => showRow(element, row, by),
  );
  setText(
    $(".bound", section),
    rows.length > MOST_ROWS ? `the ${MOST_ROWS} with the most output of ${count(rows.length)}` : "",
  );
  $(".scroll", section).hidden = rows.length === 0;
  $("[data-copy-table]", section).hidden = rows.length === 0;
  $("[data-empty]", section).hidden = rows.length > 0;
}

function newRow(columns) {
  return el(
    "tr",
    {},
    columns.map((id) =>
      id === "name"
        ? el("th", { scope: "row" }, el("span", { class: "name" }), el("span", { class: "sub" }))
        : el("td", { class: id === "basis" ? null : "number", "data-column": id }),
    ),
  );
}

function showRow(element, row, by) {
  const header = $("th", element);
  const name = row.labels?.[by] || `(no ${by})`;
  setText($(".name", header), name);
  setText($(".sub", header), by === "model" ? row.labels?.provider || "" : "");
  setAttribute(header, "data-value", [row.labels?.provider, name].filter(Boolean).join(" / "));
  for (const cell of $$("td", element)) {
    if (cell.dataset.column === "basis") setText(cell, basisText(row.basis));
    else showCell(cell, ...COLUMNS[cell.dataset.column], row);
  }
  setAttribute(element, "data-errors", number(row.quantities?.errors) > 0 ? "" : null);
}

function showCell(cell, read, write, row) {
  const value = read(row);
  const exact = number(value);
  setText(cell, write(value));
  setAttribute(cell, "data-value", exact === null ? UNKNOWN : String(value));
  setAttribute(cell, "data-unknown", exact === null ? "" : null);
}

function basisText(given) {
  const bases = Array.isArray(given) ? given : [];
  return bases.map((basis) => BASES[basis] ?? String(basis ?? UNKNOWN)).join(" + ") || UNKNOWN;
}

function showUnpriced(lines) {
  const section = $("#unpriced");
  section.hidden = lines.length === 0;
  rebuilt($("ul", section), lines, () =>
    lines
      .slice(0, MOST_ROWS)
      .map((line) =>
        el(
          "li",
          {},
          el("strong", {}, [line?.provider, line?.model].filter(Boolean).join(" / ") || line?.service || "(nameless)"),
          ` ${count(line?.calls)} calls, ${amount(line?.tokens)} tokens. `,
          el("span", { class: "why" }, line?.reason ?? "no price was found"),
        ),
      ),
  );
}
