// The headline: tokens per second per dollar-per-hour, what stands under it, and why it is unknown when it is.

import { $, $$, setAttribute, setText } from "./dom.js";
import { amount, number } from "./format.js";

const FIELDS = {
  "tps.output": (summary) => summary.tps?.output,
  "tps.input": (summary) => summary.tps?.input,
};
const HEADLINE_DIGITS = 4;

/** Shows one answer of /api/v1/summary. */
export function showHeadline(summary) {
  for (const button of $$("#headline [data-quantity]")) {
    const id = button.dataset.quantity;
    const value = (FIELDS[id] ?? ((all) => all[id]))(summary);
    showValue(button, value, button.id === "headline-value" ? HEADLINE_DIGITS : 3);
  }
  const why = number(summary.tps_per_usd_h) === null ? whyUnknown(summary) : "";
  $("#headline-why").hidden = !why;
  setText($("#headline-why"), why);
  setText($("#qualifier"), summary.qualifier ?? "what this rests on is unknown");
  $("#first-steps").hidden = number(summary.calls) !== 0;
}

function showValue(button, value, digits) {
  const exact = number(value);
  setText(button, amount(exact, digits));
  setAttribute(button, "data-exact", exact === null ? null : String(value));
  button.disabled = exact === null;
}

function whyUnknown(summary) {
  if (number(summary.calls) === 0) return "no calls ended in this window";
  const unpriced = Array.isArray(summary.unpriced) ? summary.unpriced : [];
  if (number(summary.output_tokens) === 0) return "no output tokens were counted in this window";
  if (unpriced.length > 0) return `no cost is known: ${unpriced[0]?.reason ?? "no price was found"}`;
  return "no cost is known in this window";
}
