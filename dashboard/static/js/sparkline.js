// The recent windows of a monitor as one small line: the median of each against the baseline's.

import { el, svg } from "./dom.js";
import { amount, number } from "./format.js";

const WIDTH = 120;
const HEIGHT = 36;
const EDGE = 3;

/** A drawing with its meaning in words; an empty span while there is nothing to draw. */
export function sparkline(windows, baselineMedian) {
  const medians = windows.map((window) => number(window?.median));
  const known = medians.filter((value) => value !== null);
  if (known.length === 0) return el("span");
  const baseline = number(baselineMedian);
  const all = baseline === null ? known : [...known, baseline];
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const x = (at) => EDGE + (windows.length > 1 ? (at / (windows.length - 1)) * (WIDTH - 2 * EDGE) : WIDTH / 2);
  const y = (value) =>
    most === least ? HEIGHT / 2 : HEIGHT - EDGE - ((value - least) / (most - least)) * (HEIGHT - 2 * EDGE);
  const text =
    `Median of the last ${windows.length} windows: from ${amount(known[0])} to ${amount(known.at(-1))}` +
    (baseline === null ? "" : `, baseline ${amount(baseline)}`);
  const dots = medians.map((value, at) =>
    value === null || !["drifting", "suspect"].includes(windows[at]?.state)
      ? null
      : svg("circle", { class: windows[at].state, cx: x(at).toFixed(1), cy: y(value).toFixed(1), r: 1.8 }),
  );
  return svg(
    "svg",
    { class: "sparkline", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": text },
    svg("title", {}, text),
    baseline === null
      ? null
      : svg("line", { class: "baseline", x1: 0, x2: WIDTH, y1: y(baseline).toFixed(1), y2: y(baseline).toFixed(1) }),
    svg("path", { class: "line", d: path(medians, x, y) }),
    ...dots,
  );
}

// A window without a number lifts the pen.
function path(values, x, y) {
  let drawing = false;
  return values
    .map((value, at) => {
      if (value === null) {
        drawing = false;
        return "";
      }
      const step = `${drawing ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
      const alone = !drawing && (values[at + 1] ?? null) === null;
      drawing = true;
      return alone ? `${step}h.01` : step;
    })
    .join("");
}
