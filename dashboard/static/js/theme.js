// Light, dark or as the system: set before the first paint, so it is a classic script. Kept in this browser only.
(() => {
  let chosen = "system";
  try {
    chosen = localStorage.getItem("andon-theme") ?? "system";
  } catch {
    /* storage may be switched off */
  }
  document.documentElement.dataset.theme = ["light", "dark"].includes(chosen) ? chosen : "system";
})();
