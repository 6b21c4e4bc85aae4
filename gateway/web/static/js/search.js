// Search: filters act at once, arrows move among the results, similar pictures open below their row.
import { closer, fill, made } from "./alike.js";
import { on } from "./keys.js";

export function start() {
  const form = document.getElementById("search-form");
  if (!form) return;
  const input = form.elements.q;
  const under = document.querySelector(".ask-under");
  input.addEventListener("input", () => { under.hidden = true; });
  input.addEventListener("scroll", () => { under.scrollLeft = input.scrollLeft; });
  document.querySelector("[data-apply]").hidden = true;
  for (const box of form.querySelectorAll(".filters input")) box.addEventListener("change", () => form.requestSubmit());
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-similar]");
    if (button) similar(button.closest(".result"));
  });
  form.addEventListener("keydown", move);
  on("j", () => step(1));
  on("k", () => step(-1));
  on("s", () => { const card = document.activeElement.closest?.(".result"); if (!card) return false; similar(card); });
}

function cards() {
  return [...document.querySelectorAll(".result")];
}

function across() {
  return getComputedStyle(document.querySelector(".cards")).gridTemplateColumns.split(" ").length;
}

function step(by) {
  const all = cards();
  const now = all.findIndex((card) => card.contains(document.activeElement));
  const next = all[Math.max(0, Math.min(all.length - 1, now < 0 ? 0 : now + by))];
  next?.querySelector(".open").focus();
}

function move(event) {
  if (event.key === "Escape" && document.querySelector(".alike")) { close(); event.preventDefault(); return; }
  const card = event.target.closest(".open")?.closest(".result");
  if (!card) return;
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across(), ArrowDown: across() }[event.key];
  if (!by) return;
  const all = cards();
  const next = all[all.indexOf(card) + by];
  if (next) { event.preventDefault(); next.querySelector(".open").focus(); }
}

function close() {
  const panel = document.querySelector(".alike");
  const card = document.querySelector(".result.chosen");
  panel?.remove();
  card?.classList.remove("chosen");
  card?.querySelector(".open").focus();
}

async function similar(card) {
  const again = card.classList.contains("chosen");
  document.querySelector(".alike")?.remove();
  for (const other of document.querySelectorAll(".result.chosen")) other.classList.remove("chosen");
  if (again) return;
  card.classList.add("chosen");
  const panel = made("li", "alike");
  const open = made("a", "small", "Open memory");
  open.href = card.querySelector(".open").href;
  below(card).after(panel);
  await fill(panel, card.dataset.uid, { title: `Similar to ${card.id.slice(1)}`, side: [open, closer(close)] });
}

/** The last card of the row this card stands in. */
function below(card) {
  const all = [...document.querySelectorAll(".cards > li:not(.alike)")];
  const top = card.offsetTop;
  return all.filter((each) => each.offsetTop === top).at(-1) ?? card;
}
