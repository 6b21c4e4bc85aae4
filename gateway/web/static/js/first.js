// Runs before the first paint: the chosen theme, so that nothing flashes.
"use strict";
try {
  const theme = localStorage.getItem("hearthlog-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch { /* storage is off: the device's own theme it is */ }
