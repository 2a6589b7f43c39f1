// What is looked at lives in the address (?window=15m&by=model&unit=tps), so that a link carries it.

import { $$ } from "./dom.js";

const FIELDS = ["window", "by", "unit"];
const DEFAULTS = { window: document.documentElement.dataset.defaultWindow, by: "total", unit: "both" };

const radios = (name) => $$(`input[name="${name}"]`);

/** The current view; a value that no control offers counts as the default. */
export function view() {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(
    FIELDS.map((name) => {
      const asked = query.get(name);
      return [name, radios(name).some((radio) => radio.value === asked) ? asked : DEFAULTS[name]];
    }),
  );
}

/** Binds the controls to the address; `onChange` runs after every change, the browser's back button included. */
export function bindView(onChange) {
  const show = () => {
    const now = view();
    for (const name of FIELDS) for (const radio of radios(name)) radio.checked = radio.value === now[name];
  };
  for (const name of FIELDS) {
    for (const radio of radios(name)) {
      radio.addEventListener("change", () => {
        const query = new URLSearchParams(location.search);
        if (radio.value === DEFAULTS[name]) query.delete(name);
        else query.set(name, radio.value);
        const text = query.toString();
        history.pushState(null, "", location.pathname + (text && `?${text}`) + location.hash);
        onChange(name);
      });
    }
  }
  addEventListener("popstate", () => {
    show();
    onChange("window");
  });
  show();
}

/** Binds the choice of light, dark or system. */
export function bindTheme(onChange) {
  const root = document.documentElement;
  for (const radio of radios("theme")) {
    radio.checked = radio.value === root.dataset.theme;
    radio.addEventListener("change", () => {
      root.dataset.theme = radio.value;
      try {
        localStorage.setItem("andon-theme", radio.value);
      } catch {
        /* kept for this page only */
      }
      onChange();
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange);
}
