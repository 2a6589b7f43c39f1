// Lamps: a shape, a colour and a word for each state.

import { setAttribute, svg } from "./dom.js";

const SHAPES = {
  ok: "ok",
  warn: "warn",
  fail: "fail",
  unknown: "unknown",
  quiet: "ok",
  suspect: "warn",
  drifting: "fail",
  no_data: "unknown",
  learning: "learning",
  firing: "fail",
  pending: "warn",
  resolved: "resolved",
  cleared: "resolved",
  test: "learning",
};
const RANK = ["ok", "warn", "unknown", "fail"];

/** A state in lower case; what the page does not know is `unknown`. */
export function state(value) {
  const text = String(value ?? "unknown").toLowerCase();
  return text in SHAPES ? text : "unknown";
}

/** The word of a state: WARN, NO DATA. */
export const word = (value) => state(value).replaceAll("_", " ").toUpperCase();

/** The lamp status (colour and shape) of a state. */
export const lampOf = (value) => SHAPES[state(value)];

/** The worst of the given check states; nothing judged at all is unknown. */
export function worst(values) {
  const ranks = values.map((value) => RANK.indexOf(lampOf(value)));
  return ranks.length ? (RANK[Math.max(...ranks)] ?? "unknown") : "unknown";
}

/** The given items with those of most concern first; equals keep their order. */
export function worstFirst(items, stateOf) {
  const rank = (item) => RANK.indexOf(lampOf(stateOf(item)));
  return [...items].sort((a, b) => rank(b) - rank(a));
}

/** A new lamp. */
export function lamp(value) {
  const use = svg("use");
  const element = svg("svg", { class: "lamp", viewBox: "0 0 24 24", "aria-hidden": "true" }, use);
  showLamp(element, value);
  return element;
}

/** Switches a lamp. */
export function showLamp(element, value) {
  setAttribute(element, "data-status", lampOf(value));
  setAttribute(element.firstElementChild, "href", `#lamp-${lampOf(value)}`);
}
