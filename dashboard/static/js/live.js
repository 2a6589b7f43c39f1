// Whether what is on the page is current: the sign in the top bar, the banner when the server is away, and the note
// under a section whose own endpoint fails.

import { $, setText } from "./dom.js";
import { age } from "./format.js";

const STALE_AFTER_MS = 7000;
/** Failed attempts in a row after which what is shown no longer counts as known. */
export const LOST_ATTEMPTS = 2;
const endpoints = new Map();
let spoken = "connecting";

/** An endpoint answered. */
export function answered(name) {
  endpoints.set(name, { at: Date.now(), failure: null, attempts: 0 });
  note(name, null, 0);
  showLive();
}

/** An endpoint did not. */
export function failed(name, failure, attempts) {
  const before = endpoints.get(name);
  endpoints.set(name, { at: before?.at ?? null, failure, attempts });
  note(name, failure, attempts);
  showLive();
}

function note(name, failure, attempts) {
  const element = $(`[data-problem="${name}"]`);
  element.closest("section").toggleAttribute("data-stale", attempts >= LOST_ATTEMPTS);
  element.hidden = !failure || failure.away;
  setText(element, failure ? `This part is not current: ${failure.message}` : "");
}

/** Called with every answer and once a second. */
export function showLive() {
  const summary = endpoints.get("summary");
  const since = summary?.at ? Date.now() - summary.at : null;
  const away = summary?.failure && summary.attempts >= LOST_ATTEMPTS;
  const now = away || (since !== null && since > STALE_AFTER_MS) ? "stale" : since === null ? "connecting" : "live";
  document.body.dataset.live = now;
  setText($("#live .word"), now);
  setText($("#live .age"), since === null ? "" : `${age(since / 1000)} ago`);
  banner(now === "stale", summary, since);
  if (now !== spoken) {
    if (now === "stale") {
      announce($("#stale strong").textContent);
      document.title = "STALE · Andon";
    } else if (spoken === "stale") announce("The server answers again; the page is current.");
    spoken = now;
  }
}

function banner(shown, summary, since) {
  const element = $("#stale");
  element.hidden = !shown;
  if (!shown) return;
  const away = summary?.failure?.away ?? true;
  const known = since === null ? "Nothing is known yet." : `What you see was true ${age(since / 1000)} ago.`;
  const where = away ? "Is andon serve running?" : "Its log says more.";
  const what = away ? "The server does not answer." : `The server answers with an error: ${summary.failure.message}.`;
  setText($("strong", element), what);
  setText($("span", element), `${known} ${where} Trying again every few seconds; this page recovers by itself.`);
}

/** Says something that matters to a screen reader, politely. */
export function announce(text) {
  setText($("#announcer"), text);
}
