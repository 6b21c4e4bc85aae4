// Light, dark or as the device; single-letter keys on or off. Both live in this browser.
export function stored(name) {
  try { return localStorage.getItem(name) ?? ""; } catch { return ""; }
}

function keep(name, value) {
  try { value ? localStorage.setItem(name, value) : localStorage.removeItem(name); } catch { /* for this page only */ }
}

export function startTheme() {
  const chosen = stored("hearthlog-theme");
  for (const input of document.querySelectorAll("[data-theme-choice] input")) {
    input.checked = input.value === chosen;
    input.addEventListener("change", () => {
      keep("hearthlog-theme", input.value);
      if (input.value) document.documentElement.dataset.theme = input.value;
      else delete document.documentElement.dataset.theme;
    });
  }
  for (const box of document.querySelectorAll("[data-letters]")) {
    box.checked = stored("hearthlog-letters") !== "off";
    box.addEventListener("change", () => keep("hearthlog-letters", box.checked ? "" : "off"));
  }
}
