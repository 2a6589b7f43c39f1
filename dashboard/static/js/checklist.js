// The 3AM checklist: what is red, since when, why, and what to do now.

import { ageElement, showTime } from "./clock.js";
import { $, el, keyed, rebuilt, setAttribute, setText } from "./dom.js";
import { UNKNOWN } from "./format.js";
import { lamp, lampOf, showLamp, state, word, worst, worstFirst } from "./lamp.js";
import { announce } from "./live.js";
import { prose } from "./prose.js";

let lastWorst = null;

/** Shows one answer of /api/v1/checklist. */
export function showChecklist(answer) {
  const checks = worstFirst(Array.isArray(answer.checks) ? answer.checks : [], (check) => check?.status);
  keyed($("#checklist .checks"), checks, (check) => String(check?.name), newCheck, showCheck);
  $("#checklist [data-empty]").hidden = checks.length > 0;
  keyed($("#lamp-strip"), checks, (check) => String(check?.name), newStripLamp, showStripLamp);
  showWorst(lampOf(answer.worst ?? answer.status ?? worst(checks.map((check) => check?.status))), checks);
}

/** Nobody can read the checklist: whatever it said last, its state is now unknown. */
export function loseChecklist() {
  showWorst("unknown", []);
  setText($("#worst-lamp .what"), "the checklist cannot be read");
}

function showWorst(status, checks) {
  const element = $("#worst-lamp");
  const those = checks.filter((check) => state(check?.status) === status);
  const names = those.map((check) => check?.title ?? check?.name).join(", ");
  setAttribute(element, "data-status", status);
  showLamp($(".lamp", element), status);
  setText($(".word", element), word(status));
  setText($(".what", element), status === "ok" ? `all ${checks.length} checks` : names || "no check has looked");
  if (lastWorst !== null && lastWorst !== status)
    announce(`The checklist is now ${word(status)}${names && `: ${names}`}`);
  lastWorst = status;
  document.title = `${word(status)} · Andon`;
}

function newStripLamp() {
  return el("a", { href: "#checklist" }, lamp("unknown"), el("span", { class: "word" }), el("span", { class: "what" }));
}

function showStripLamp(element, check) {
  showLamp($(".lamp", element), check?.status);
  setText($(".word", element), word(check?.status));
  setText($(".what", element), String(check?.title ?? check?.name ?? UNKNOWN));
}

function newCheck(check) {
  return el(
    "li",
    { class: "check", "data-check": String(check?.name) },
    lamp("unknown"),
    el(
      "div",
      { class: "body" },
      el("h3", {}, el("span", { class: "word" }), " ", el("span", { class: "title" })),
      el("p", { class: "summary" }),
      el(
        "p",
        { class: "times" },
        el("span", { class: "since" }, "for ", ageElement(null)),
        el("span", { class: "looked" }, "looked ", ageElement(null), " ago"),
      ),
      el("div", { class: "remedy" }),
      el("details", {}, el("summary", {}), el("div", { class: "evidence" })),
    ),
  );
}

function showCheck(element, check) {
  const status = state(check?.status);
  setAttribute(element, "data-status", status);
  showLamp($(".lamp", element), status);
  setText($(".word", element), word(status));
  setText($(".title", element), String(check?.title ?? check?.name ?? UNKNOWN));
  setText($(".summary", element), String(check?.summary ?? "nothing is known"));
  $(".since", element).hidden = !check?.since;
  showTime($(".since time", element), check?.since ?? null);
  $(".looked", element).hidden = !check?.observed_at;
  showTime($(".looked time", element), check?.observed_at ?? null);
  const remedy = check?.remedy ?? "";
  $(".remedy", element).hidden = !remedy;
  rebuilt($(".remedy", element), remedy, () => [el("strong", {}, "Do now: "), ...prose(String(remedy))]);
  const rows = Array.isArray(check?.evidence) ? check.evidence : [];
  $("details", element).hidden = rows.length === 0;
  setText($("summary", element), `Evidence (${rows.length})`);
  rebuilt($(".evidence", element), rows, () => [evidenceTable(rows, check?.title ?? check?.name)]);
}

function evidenceTable(rows, title) {
  return el(
    "table",
    {},
    el("caption", { class: "unseen" }, `Evidence of ${title}`),
    el(
      "thead",
      { class: "unseen" },
      el("tr", {}, ...["state", "what", "value"].map((name) => el("th", { scope: "col" }, name))),
    ),
    el("tbody", {}, ...rows.map(evidenceRow)),
  );
}

function evidenceRow(row) {
  const judged = row?.status !== null && row?.status !== undefined;
  const value =
    row?.value === null || row?.value === undefined ? UNKNOWN : [row.value, row.unit].filter(Boolean).join(" ");
  const notes = [
    row?.basis && el("p", { class: "basis" }, `from ${row.basis}`),
    row?.remedy && el("p", {}, ...prose(String(row.remedy))),
    row?.query && el("p", {}, "see for yourself: ", ...prose(`\`${row.query}\``)),
  ];
  return el(
    "tr",
    { "data-status": judged ? lampOf(row.status) : null },
    el("td", {}, judged ? lamp(row.status) : null, judged ? el("span", { class: "unseen" }, word(row.status)) : null),
    el("th", { scope: "row" }, String(row?.label ?? UNKNOWN)),
    el("td", {}, el("span", { class: "value" }, value), ...notes),
  );
}
