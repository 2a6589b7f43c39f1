// Drift monitors: state, evidence against threshold, how large the change is, since when.

import { ageElement, showTime, timeElement } from "./clock.js";
import { $, el, keyed, rebuilt, setAttribute, setText } from "./dom.js";
import { MINUS, UNKNOWN, amount, count, number } from "./format.js";
import { lamp, showLamp, state, word, worstFirst } from "./lamp.js";
import { prose } from "./prose.js";
import { sparkline } from "./sparkline.js";

const HEADROOM = 1.25;

/** Shows one answer of /api/v1/drift. */
export function showDrift(answer) {
  const monitors = worstFirst(Array.isArray(answer.monitors) ? answer.monitors : [], (monitor) => monitor?.state);
  keyed($("#drift .monitors"), monitors, (monitor) => String(monitor?.name), newMonitor, showMonitor);
  $("#drift [data-empty]").hidden = monitors.length > 0;
}

function newMonitor(monitor) {
  return el(
    "li",
    { class: "monitor", "data-monitor": String(monitor?.name) },
    lamp("unknown"),
    el(
      "div",
      { class: "body" },
      el(
        "h3",
        {},
        el("span", { class: "word" }),
        " ",
        el("span", { class: "title" }),
        " ",
        el("span", { class: "scope" }),
      ),
      el("p", { class: "summary" }),
      el(
        "p",
        { class: "times" },
        el("span", { class: "since" }, "for ", ageElement(null)),
        el("span", { class: "change" }, "changed about ", timeElement(null)),
      ),
      el(
        "div",
        { class: "measures" },
        el("div", {}, el("div", { class: "gauge" }), el("p", { class: "effects" })),
        el("div", { class: "recent" }),
      ),
    ),
  );
}

function showMonitor(element, monitor) {
  const now = state(monitor?.state);
  setAttribute(element, "data-state", now);
  showLamp($(".lamp", element), now);
  setText($(".word", element), word(now));
  setText($(".title", element), String(monitor?.name ?? UNKNOWN));
  setText($(".scope", element), scope(monitor));
  const detail = String(monitor?.detail ?? monitor?.problem ?? "");
  rebuilt($(".summary", element), detail, () => prose(detail));
  $(".since", element).hidden = !monitor?.since;
  showTime($(".since time", element), monitor?.since ?? null);
  $(".change", element).hidden = !monitor?.change_time;
  showTime($(".change time", element), monitor?.change_time ?? null);
  rebuilt($(".gauge", element), [now, monitor?.evidence, monitor?.threshold, monitor?.progress], () =>
    now === "learning" ? learning(monitor?.progress) : evidence(monitor),
  );
  setText($(".effects", element), effects(monitor?.effects));
  const windows = Array.isArray(monitor?.recent) ? monitor.recent : [];
  rebuilt($(".recent", element), windows, () => [sparkline(windows, monitor?.effects?.baseline_median)]);
}

function scope(monitor) {
  const of = [monitor?.pipeline, monitor?.stage, monitor?.model].filter(Boolean).join(" / ");
  return [monitor?.signal ?? UNKNOWN, of && `of ${of}`].filter(Boolean).join(" ");
}

function learning(progress) {
  const have = number(progress?.windows);
  const need = number(progress?.windows_needed);
  const share = have !== null && need ? Math.min(1, have / need) : 0;
  const text = `${count(have)} of ${count(need)} windows`;
  return [bar(share, null, text), el("span", {}, text)];
}

// On a log scale from 1 to a little beyond the threshold: an alarm is where the bar passes the mark.
function evidence(monitor) {
  const found = number(monitor?.evidence);
  const threshold = number(monitor?.threshold);
  const text =
    found === null
      ? "evidence unknown: no window judged yet"
      : `evidence ${amount(found)}, threshold ${amount(threshold)}`;
  const end = threshold !== null && threshold > 1 ? Math.log10(threshold) * HEADROOM : 1;
  const share = found !== null && found > 1 ? Math.min(1, Math.log10(found) / end) : 0;
  return [bar(share, 1 / HEADROOM, text), el("span", {}, text)];
}

function bar(share, mark, text) {
  const fill = el("span", { class: "fill" });
  fill.style.width = `${(100 * share).toFixed(1)}%`;
  const tick = mark === null ? null : el("span", { class: "tick" });
  if (tick) tick.style.left = `${(100 * mark).toFixed(1)}%`;
  return el("span", { class: "bar", role: "img", "aria-label": text }, fill, tick);
}

function effects(sizes) {
  const moved = number(sizes?.w1_iqr);
  const distance = number(sizes?.ks);
  if (moved === null && distance === null) return "";
  const direction = number(sizes?.shift);
  const sign = direction === null || direction === 0 ? "" : direction > 0 ? "+" : MINUS;
  return `W1 ${moved === null ? UNKNOWN : `${sign}${amount(moved, 2)} IQR`} · KS ${amount(distance, 2)}`;
}
