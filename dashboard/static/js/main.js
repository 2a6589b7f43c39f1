// Wires the page: five endpoints, each answer to the sections that show it.

import { showAlerts } from "./alerts.js";
import { bindChart, redraw, showChart } from "./chart.js";
import { loseChecklist, showChecklist } from "./checklist.js";
import { Poller } from "./client.js";
import { learnServerTime, startClock } from "./clock.js";
import { bindCopy } from "./copy.js";
import { $, setText } from "./dom.js";
import { showDrift } from "./drift.js";
import { spanSeconds, zone } from "./format.js";
import { showHeadline } from "./headline.js";
import { LOST_ATTEMPTS, answered, failed, showLive } from "./live.js";
import { showPools } from "./pools.js";
import { showTables } from "./tables.js";
import { bindTheme, bindView, view } from "./view.js";

const OFTEN_MS = 2000;
const CALM_MS = 4000;
const SETTLE_SECONDS = 5; // spans need some seconds to arrive; a chart up to this moment would always end in a dip
const STEPS_SECONDS = [2, 5, 15, 60, 300, 900, 3600];
const MOST_STEPS = 72;

function showSummary(answer) {
  learnServerTime(answer.now);
  for (const show of [showHeadline, showTables, showPools]) show(answer);
}

function throughputAddress() {
  const { window, by } = view();
  const seconds = spanSeconds(window);
  const step = STEPS_SECONDS.find((length) => seconds / length <= MOST_STEPS) ?? 86_400;
  const query = new URLSearchParams({
    from: `now-${seconds + SETTLE_SECONDS}s`,
    to: `now-${SETTLE_SECONDS}s`,
    step: `${step}s`,
  });
  if (by !== "total") query.set("by", by);
  return `/api/v1/throughput?${query}`;
}

function poll(name, address, everyMs, show, lose = () => {}) {
  const poller = new Poller(
    address,
    everyMs,
    (answer) => {
      show(answer);
      answered(name);
    },
    (failure, attempts) => {
      failed(name, failure, attempts);
      if (attempts >= LOST_ATTEMPTS) lose();
    },
  );
  void poller.now();
  return poller;
}

setText($("#zone"), zone());
bindCopy();
startClock(showLive);
bindChart();
const summary = poll("summary", () => `/api/v1/summary?window=${view().window}`, OFTEN_MS, showSummary);
const throughput = poll("throughput", throughputAddress, OFTEN_MS, (answer) => showChart(answer, view()));
poll("checklist", () => "/api/v1/checklist", CALM_MS, showChecklist, loseChecklist);
poll("drift", () => "/api/v1/drift", CALM_MS, showDrift);
poll("alerts", () => "/api/v1/alerts", CALM_MS, showAlerts);
bindView((changed) => {
  if (changed === "window") void summary.now();
  void throughput.now();
});
bindTheme(redraw);
