// Capacity pools: what is paid by the hour, and what comes out of it.

import { $, el, keyed, setAttribute, setText } from "./dom.js";
import { UNKNOWN, amount, count, number } from "./format.js";

/** Shows the pools of one answer of /api/v1/summary. */
export function showPools(summary) {
  const section = $("#pools");
  const pools = Array.isArray(summary.pools) ? summary.pools : [];
  $(".scroll", section).hidden = pools.length === 0;
  $("[data-empty]", section).hidden = pools.length > 0;
  keyed($("tbody", section), pools, (pool) => String(pool?.name), newRow, showRow);
}

function newRow() {
  return el(
    "tr",
    {},
    el("th", { scope: "row" }),
    el("td"),
    ...[1, 2, 3].map(() => el("td", { class: "number" })),
    el("td"),
    el("td", {}, el("span", { class: "tag" })),
  );
}

function showRow(row, pool) {
  const [name, machines, cost, output, headline, price, use] = row.cells;
  setText(name, String(pool?.name ?? UNKNOWN));
  setText(machines, `${count(pool?.count)} × ${pool?.accelerator ?? UNKNOWN}`);
  const values = [
    [cost, pool?.usd_per_hour],
    [output, pool?.quantities?.tps?.output],
    [headline, pool?.quantities?.tps_per_usd_h],
  ];
  for (const [cell, value] of values) {
    setText(cell, amount(value));
    setAttribute(cell, "data-unknown", number(value) === null ? "" : null);
  }
  setText(price, pool?.basis ?? UNKNOWN);
  const idle = pool?.idle;
  setText(use.firstElementChild, idle === true ? "idle" : idle === false ? "in use" : UNKNOWN);
  setAttribute(use.firstElementChild, "data-idle", idle === true ? "" : null);
}
