// Copying: exact values, commands and tables, with a confirmation that is seen and read aloud.

import { $, $$, setText } from "./dom.js";

let timer = null;

/** Puts `text` on the clipboard and says so. */
export async function copy(text, named = text) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`copied ${named}`);
  } catch {
    toast("the browser refused to copy: select it and copy by hand");
  }
}

function toast(message) {
  const element = $("#toast");
  setText(element, message);
  element.dataset.shown = "";
  clearTimeout(timer);
  timer = setTimeout(() => {
    delete element.dataset.shown;
    element.textContent = "";
  }, 2500);
}

/** One listener for everything on the page that can be copied. */
export function bindCopy() {
  document.addEventListener("click", (event) => {
    const value = event.target.closest("[data-exact]");
    if (value) return void copy(value.dataset.exact);
    const code = event.target.closest("[data-copy-code]");
    if (code) return void copy($("code", code.parentElement).textContent, "the text");
    const table = event.target.closest("[data-copy-table]");
    if (table)
      void copy(
        tableText($("table", document.getElementById(table.dataset.copyTable))),
        "the table, as tab-separated values",
      );
  });
}

/** A table as tab-separated exact values. */
function tableText(table) {
  const plain = (text) => text.replaceAll(/[\t\r\n]+/g, " ").trim();
  const lines = $$("tr", table).map((row) =>
    [...row.cells].map((cell) => plain(cell.dataset.value ?? cell.dataset.column ?? cell.textContent)),
  );
  return lines.map((cells) => cells.join("\t")).join("\n");
}
