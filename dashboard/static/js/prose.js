// Sentences with commands in `backticks`: the commands can be copied.

import { el, svg } from "./dom.js";

/** Nodes for a sentence; what stands in backticks becomes a button that copies it. */
export function prose(text) {
  return text.split(/`([^`]+)`/).map((part, at) => (at % 2 === 0 ? part : command(part)));
}

function command(text) {
  return el(
    "button",
    { type: "button", class: "command", "data-exact": text },
    el("span", { class: "unseen" }, "Copy "),
    el("code", {}, text),
    svg(
      "svg",
      { viewBox: "0 0 16 16", "aria-hidden": "true" },
      svg("path", { d: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z" }),
    ),
  );
}
