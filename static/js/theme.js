// Runs before anything is drawn, so that a chosen light or dark page never flashes in the other one.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("promptoscope-theme");
  } catch {
    // Storage may be switched off; the page then follows the system.
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
