// Times and ages on the page, kept current once a second by the server's clock (the viewer's may be wrong).

import { $$, el, setAttribute, setText } from "./dom.js";
import { age, localTime, time, utcTime } from "./format.js";

let offsetMs = 0;

/** Learns from an answer how far the viewer's clock is off. */
export function learnServerTime(value) {
  const server = time(value);
  if (server) offsetMs = server.getTime() - Date.now();
}

export const serverNow = () => new Date(Date.now() + offsetMs);

/** A `<time>` in the viewer's zone; UTC stands in its title and is read aloud after it. */
export function timeElement(value) {
  const element = el("time");
  showTime(element, value);
  return element;
}

/** A `<time>` that says how long ago. */
export function ageElement(value) {
  const element = el("time", { "data-age": "" });
  showTime(element, value);
  return element;
}

/** Points a `<time>` at another moment; null is unknown. */
export function showTime(element, value) {
  const date = time(value);
  setAttribute(element, "datetime", date && value);
  setAttribute(
    element,
    "title",
    date && (element.dataset.age === undefined ? utcTime(date) : `${localTime(date)} · ${utcTime(date)}`),
  );
  if (!date) setText(element, "unknown");
  else if (element.dataset.age === undefined) {
    if (element.dataset.shown === value) return;
    element.dataset.shown = value;
    element.replaceChildren(localTime(date), el("span", { class: "unseen" }, ` (${utcTime(date)})`));
  } else showAge(element);
}

function showAge(element) {
  const date = time(element.getAttribute("datetime"));
  if (date) setText(element, age((serverNow() - date) / 1000));
}

/** Starts the ticking. */
export function startClock(everySecond) {
  setInterval(() => {
    if (document.hidden) return;
    $$("time[data-age]").forEach(showAge);
    everySecond();
  }, 1000);
}
