// Colour is identity: a series keeps its colour, whatever else comes and goes.

const KEPT_AS = "andon-colours";
const COLOURS = 10;
const chosen = new Map(restored());

function restored() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT_AS)) ?? [];
  } catch {
    return [];
  }
}

/** The CSS variable of a series, from its name; two series share one only when there are more than colours. */
export function colourOf(name) {
  if (name === "") return "--series-total";
  if (!chosen.has(name)) {
    const taken = new Set(chosen.values());
    const first = hash(name) % COLOURS;
    const free = Array.from({ length: COLOURS }, (_, step) => (first + step) % COLOURS).find(
      (colour) => !taken.has(colour),
    );
    chosen.set(name, free ?? first);
    try {
      sessionStorage.setItem(KEPT_AS, JSON.stringify([...chosen]));
    } catch {
      /* kept for this page only */
    }
  }
  return `--series-${chosen.get(name)}`;
}

function hash(text) {
  let value = 2166136261;
  for (const letter of text) value = Math.imul(value ^ letter.codePointAt(0), 16777619) >>> 0;
  return value;
}
