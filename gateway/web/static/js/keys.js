// Keys as the help names them. Single letters can be turned off; none works while one types.
import { stored } from "./theme.js";

const bound = new Map();
let after = "";
let forget = 0;

/** Bind a key of this page. `letter`: it is a single character and can be turned off. */
export function on(key, run) {
  bound.set(key, run);
}

export function startKeys() {
  on("/", () => focusSearch());
  on("?", () => openKeys());
  on("g t", () => go("/"));
  on("g d", () => go("/devices"));
  on("g h", () => go("/health"));
  document.addEventListener("keydown", press);
  for (const button of document.querySelectorAll("[data-keys]")) button.addEventListener("click", openKeys);
  for (const button of document.querySelectorAll("dialog [data-close]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  }
}

export function go(path) {
  location.assign(path);
}

function openKeys() {
  document.getElementById("menu")?.hidePopover?.();
  document.getElementById("keys")?.showModal();
}

function focusSearch() {
  const box = [...document.querySelectorAll("[data-search-box]")].find((each) => each.offsetParent !== null);
  if (box) { box.focus(); box.select(); } else go("/search");
}

function press(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest?.("input:not([type=checkbox], [type=radio], [type=range]), textarea, select, [contenteditable]");
  if (event.key === "Escape") { if (typing) event.target.blur(); return; }
  if (typing || document.querySelector("dialog[open]")) return;
  const single = event.key.length === 1;
  if (single && event.key !== " " && stored("hearthlog-letters") === "off") return;
  const asked = after && bound.has(`${after} ${event.key}`) ? `${after} ${event.key}` : event.key;
  after = "";
  if (event.key === "g" && !event.repeat) {
    after = "g";
    clearTimeout(forget);
    forget = setTimeout(() => { after = ""; }, 1200);
    return;
  }
  const run = bound.get(asked);
  if (run && run(event) !== false) event.preventDefault();
}
