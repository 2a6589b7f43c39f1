// Numbers and times as people read them. Unknown is a word, never a zero.

export const UNKNOWN = "unknown";
const THIN = "\u202f";
export const MINUS = "\u2212";
const LARGE = [
  [1e12, "T"],
  [1e9, "B"],
  [1e6, "M"],
];

/** A finite number from a number or a decimal string; null for everything else. */
export function number(value) {
  if (value === null || value === undefined || value === "" || typeof value === "boolean") return null;
  const parsed = typeof value === "object" ? NaN : Number(value);
  return Number.isFinite(parsed) ? parsed : null;
}

/** Digits in groups of three: 12 345. */
export function grouped(text) {
  const [whole, rest] = text.split(".");
  return whole.replace(/\B(?=(\d{3})+(?!\d))/g, THIN) + (rest === undefined ? "" : `.${rest}`);
}

/** `digits` significant figures, large numbers as M, B, T; never rounds the whole part of what is below a million. */
export function amount(value, digits = 3) {
  const given = number(value);
  if (given === null) return UNKNOWN;
  if (given === 0) return "0";
  const size = Math.abs(given);
  const sign = given < 0 ? MINUS : "";
  const [scale, letter] = LARGE.find(([least]) => size >= least) ?? [1, ""];
  const scaled = size / scale;
  if (scaled < 1e-4 || scaled >= 1e6) return sign + scientific(size, digits);
  const whole = Math.floor(Math.log10(scaled)) + 1;
  const text = scaled.toFixed(Math.min(20, Math.max(0, digits - whole)));
  return sign + grouped(text) + (letter && `${THIN}${letter}`);
}

function scientific(size, digits) {
  const [figures, power] = size.toExponential(Math.max(0, digits - 1)).split("e");
  const raised = [...power].map((sign) => ({ "-": "⁻", "+": "" })[sign] ?? "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign]).join("");
  return `${figures} × 10${raised}`;
}

/** A whole count with every digit: 12 345 678. */
export function count(value) {
  const given = number(value);
  return given === null ? UNKNOWN : grouped(given.toFixed(0));
}

/** A share as per cent, without the sign. */
export function percent(value) {
  const given = number(value);
  return given === null ? UNKNOWN : amount(100 * given);
}

/** A length of time in the largest unit that fits: 40 s, 4 min, 2.5 h, 3 d. */
export function age(seconds) {
  const given = number(seconds);
  if (given === null) return UNKNOWN;
  const length = Math.max(0, given);
  if (length < 120) return `${Math.floor(length)} s`;
  if (length < 7200) return `${Math.floor(length / 60)} min`;
  if (length < 172800) return `${(length / 3600).toFixed(1)} h`;
  return `${Math.floor(length / 86400)} d`;
}

/** Seconds of a window, from the way the query writes it. */
export function spanSeconds(text) {
  const [, length, unit] = /^(\d+)([smhd])$/.exec(text) ?? [null, "300", "s"];
  return Number(length) * { s: 1, m: 60, h: 3600, d: 86400 }[unit];
}

const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
export const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** A Date, or null for what is no time. */
export function time(value) {
  if (typeof value !== "string") return null;
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? null : date;
}

/** Clock time in the viewer's zone; with the day when it is another one than `now`'s. */
export function localTime(date, now = new Date()) {
  const clock = CLOCK.format(date);
  return date.toDateString() === now.toDateString() ? clock : `${DAY.format(date)}, ${clock}`;
}

/** The same moment in UTC: 2026-11-23 04:05:06 UTC. */
export const utcTime = (date) => `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
