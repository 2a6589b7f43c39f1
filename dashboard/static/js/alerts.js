// What fires now, what happened last, and who was told or why not.

import { ageElement, showTime, timeElement } from "./clock.js";
import { $, $$, el, keyed, rebuilt, setAttribute, setText } from "./dom.js";
import { UNKNOWN, amount, count } from "./format.js";
import { lamp, showLamp, state, word } from "./lamp.js";
import { announce } from "./live.js";

const MOST_EVENTS = 12;
const NO_ALERT = ["pending", "cleared"]; // what waits to fire stands above; what never fired is no alert
const OVER = ["resolved", "inactive"];
const DELIVERY = { done: "told", pending: "being sent", dead: "not told", cancelled: "not told" };
let newestSeen = null;

/** Shows one answer of /api/v1/alerts: what stands now, then what happened. */
export function showAlerts(answer) {
  const instances = list(answer.instances).filter((alert) => !OVER.includes(alert?.state));
  const events = list(answer.events).filter((event) => !NO_ALERT.includes(event?.transition));
  keyed($("#alerts .standing"), instances, alertKey, newAlert, showAlert);
  keyed($("#alerts .events"), events.slice(0, MOST_EVENTS), (event) => String(event?.id), newEvent, showEvent);
  $("#alerts .standing").hidden = instances.length === 0;
  const firing = instances.filter((alert) => state(alert?.state) === "firing").length;
  const bound = events.length > MOST_EVENTS ? ` · the last ${MOST_EVENTS} of ${count(events.length)} changes` : "";
  setText($("#alerts .bound"), (firing ? `${firing} firing` : "nothing fires") + bound);
  $("#alerts [data-empty]").hidden = instances.length + events.length > 0;
  announceNew(events);
}

const list = (value) => (Array.isArray(value) ? value : []);
const alertKey = (alert) => String(alert?.fingerprint ?? JSON.stringify([alert?.rule, alert?.labels]));

function announceNew(events) {
  const newest = events[0]?.id ?? 0;
  const fired =
    newestSeen !== null && events.find((event) => event?.id > newestSeen && state(event?.transition) === "firing");
  if (fired) announce(`Alert: ${fired.summary ?? fired.rule}`);
  newestSeen = newest;
}

function newAlert(alert) {
  return el(
    "li",
    { class: "alert", "data-alert": String(alert?.rule ?? UNKNOWN) },
    lamp("unknown"),
    el("div", { class: "body" }, heading(), el("p", { class: "summary" }), facts("for ", "")),
  );
}

function showAlert(element, alert) {
  showCommon(element, alert, alert?.state, word(alert?.state), alert?.firing_since ?? alert?.pending_since ?? null);
  setText($(".summary", element), standing(alert));
}

function newEvent(event) {
  return el(
    "li",
    { class: "event", "data-event": String(event?.rule ?? UNKNOWN) },
    lamp("unknown"),
    el(
      "div",
      { class: "body" },
      heading(),
      el("p", { class: "summary" }),
      facts("", " ago"),
      el("ul", { class: "told", "aria-label": "delivery" }),
    ),
  );
}

function showEvent(element, event) {
  const happened = state(event?.transition) === "firing" ? "FIRED" : word(event?.transition);
  showCommon(element, event, event?.transition, happened, event?.at ?? null);
  setText($(".summary", element), String(event?.summary ?? ""));
  rebuilt($(".told", element), [event?.told, event?.untold], () => delivery(event));
}

function heading() {
  return el(
    "h3",
    {},
    el("span", { class: "word" }),
    " ",
    el("span", { class: "title" }),
    " ",
    el("span", { class: "severity tag" }),
  );
}

function facts(before, after) {
  return el(
    "div",
    { class: "facts" },
    el("span", {}, before, ageElement(null), after),
    timeElement(null),
    el("ul", { class: "labels", "aria-label": "labels" }),
  );
}

function showCommon(element, of, status, said, at) {
  setAttribute(element, "data-state", state(status));
  showLamp($(".lamp", element), status);
  setText($(".word", element), said);
  setText($(".title", element), String(of?.rule ?? UNKNOWN));
  setText($(".severity", element), String(of?.severity ?? UNKNOWN));
  for (const time of $$("time", element)) showTime(time, at);
  const labels = Object.entries(of?.labels ?? {});
  rebuilt($(".labels", element), labels, () => labels.map(([name, value]) => el("li", {}, `${name}=${value}`)));
}

function standing(alert) {
  const value =
    alert?.value === null || alert?.value === undefined
      ? UNKNOWN
      : typeof alert?.value === "number"
        ? amount(alert?.value)
        : String(alert?.value);
  return `${alert?.expression ?? UNKNOWN}; it is ${value}${alert?.no_data ? "; its signal is silent now" : ""}`;
}

function delivery(event) {
  const told = list(event?.told);
  if (told.length === 0) return [event?.untold ? el("li", {}, event.untold) : null];
  return told.map((message) =>
    el(
      "li",
      { "data-delivery": String(message?.status) },
      `${DELIVERY[message?.status] ?? UNKNOWN}: ${message?.channel ?? UNKNOWN}, ${message?.explanation ?? UNKNOWN}`,
    ),
  );
}
