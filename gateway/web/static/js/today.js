// The day: what a cell of the strip tells, dragging part of the day, keys along the log, folding, playing.
import { on, go } from "./keys.js";
import { visit, wired } from "./live.js";
import { play } from "./player.js";

const QUARTERS_DAY = 24 * 60;

export function start() {
  wired(label);
  const strip = document.getElementById("strip");
  if (strip) { hover(strip); drag(strip); arrows(strip); }
  document.addEventListener("click", clicked);
  on("j", () => step(1));
  on("k", () => step(-1));
  on("[", () => document.querySelector('[data-key="["]')?.click());
  on("]", () => document.querySelector('[data-key="]"]')?.click());
  on("t", () => go("/"));
  on("q", foldAll);
}

function cells(svg) {
  return [...svg.querySelectorAll('[role="gridcell"]')];
}

/** Names for the cells of the grid, and one of them in the tab order. */
function label() {
  for (const svg of document.querySelectorAll(".strip-svg")) {
    let entered = false;
    for (const row of svg.querySelectorAll('[role="row"]')) {
      [...row.querySelectorAll('[role="gridcell"]')].forEach((cell, n) => {
        cell.setAttribute("aria-label", told(cell, row, n, svg).join(", "));
        cell.dataset.at = String(n);
        cell.setAttribute("tabindex", entered ? "-1" : "0");
        entered = true;
      });
    }
  }
}

function minutes(svg, n) {
  return n * Number(svg.dataset.per) * 15;
}

function clock(minute) {
  return `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
}

function told(cell, row, n, svg) {
  const count = Number(cell.dataset.n);
  const wide = minutes(svg, 1);
  return [`${row.getAttribute("aria-label")}, ${clock(minutes(svg, n))} to ${clock(minutes(svg, n) + wide)}`, `${count} ${count === 1 ? "picture" : "pictures"}`];
}

function hover(strip) {
  const tip = document.getElementById("tip");
  strip.addEventListener("pointermove", (event) => {
    const cell = event.target.closest('[role="gridcell"]');
    if (!cell || event.pointerType === "touch") { tip.hidden = true; return; }
    const [head, line] = told(cell, cell.closest('[role="row"]'), Number(cell.dataset.at), cell.closest("svg"));
    const bold = document.createElement("b");
    bold.textContent = head;
    tip.replaceChildren(bold, line);
    tip.hidden = false;
    place(tip, cell);
  });
  strip.addEventListener("pointerleave", () => { tip.hidden = true; });
}

function place(tip, cell) {
  const at = cell.getBoundingClientRect();
  const width = tip.offsetWidth;
  tip.style.setProperty("left", `${Math.max(8, Math.min(innerWidth - width - 8, at.left + at.width / 2 - width / 2))}px`);
  tip.style.setProperty("top", `${Math.max(8, at.top - tip.offsetHeight - 10)}px`);
}

function drag(strip) {
  let svg = null, from = 0, to = 0;
  const share = (event) => {
    const box = svg.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  };
  strip.addEventListener("pointerdown", (event) => {
    svg = event.target.closest(".strip-svg");
    if (!svg || event.button !== 0) { svg = null; return; }
    from = to = share(event);
  });
  addEventListener("pointermove", (event) => {
    if (!svg) return;
    to = share(event);
    mark(svg, from, to);
  });
  addEventListener("pointerup", () => {
    if (!svg) return;
    const [a, b] = [Math.min(from, to), Math.max(from, to)];
    const used = svg;
    svg = null;
    mark(used, 0, 0);
    if (b - a > 0.008) narrow(strip, Math.floor(a * 96) * 15, Math.ceil(b * 96) * 15);
  });
}

function mark(svg, from, to) {
  const range = svg.querySelector(".range");
  range.setAttribute("x", `${Math.min(from, to) * 100}%`);
  range.setAttribute("width", `${Math.abs(to - from) * 100}%`);
}

function narrow(strip, from, to) {
  location.assign(`${strip.dataset.day}?from=${clock(from)}&to=${clock(Math.min(to, QUARTERS_DAY))}`);
}

/** Arrow keys move; Shift and arrows choose part of the day; Enter shows it. */
function arrows(strip) {
  let first = null;
  strip.addEventListener("keydown", (event) => {
    const cell = event.target.closest('[role="gridcell"]');
    if (!cell) return;
    const svg = cell.closest("svg");
    const rows = [...svg.querySelectorAll('[role="row"]')];
    const at = Number(cell.dataset.at);
    const row = rows.indexOf(cell.closest('[role="row"]'));
    const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    if (event.key === "Enter" || event.key === " ") {
      const a = Math.min(first ?? at, at), b = Math.max(first ?? at, at) + 1;
      event.preventDefault();
      narrow(strip, minutes(svg, a), minutes(svg, b));
      return;
    }
    if (event.key === "Escape") { first = null; mark(svg, 0, 0); return; }
    const move = moves[event.key] ?? (event.key === "Home" ? [0, -at] : event.key === "End" ? [0, 1e3] : null);
    if (!move) return;
    event.preventDefault();
    const line = cells(rows[Math.max(0, Math.min(rows.length - 1, row + move[0]))]);
    const next = line[Math.max(0, Math.min(line.length - 1, at + move[1]))];
    if (!next) return;
    cell.setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
    if (event.shiftKey) {
      first ??= at;
      const wide = 1 / (96 / Number(svg.dataset.per));
      mark(svg, Math.min(first, Number(next.dataset.at)) * wide, (Math.max(first, Number(next.dataset.at)) + 1) * wide);
    } else { first = null; mark(svg, 0, 0); }
  });
}

function step(by) {
  const links = [...document.querySelectorAll(".log .open")];
  const now = links.indexOf(document.activeElement);
  const next = links[Math.max(0, Math.min(links.length - 1, now < 0 ? (by > 0 ? 0 : links.length - 1) : now + by))];
  next?.focus();
  next?.closest("li").scrollIntoView({ block: "nearest" });
}

function foldAll() {
  const url = new URL(location.href);
  const open = document.querySelector('[data-fold][aria-expanded="true"]');
  url.searchParams.delete("show");
  if (!open) url.searchParams.set("show", "all");
  visit(url.href);
}

function clicked(event) {
  const fold = event.target.closest("[data-fold]");
  const sound = event.target.closest("[data-play]");
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (fold) {
    event.preventDefault();
    const url = new URL(fold.href);
    url.hash = "";
    visit(url.href);
  } else if (sound) {
    event.preventDefault();
    play(sound);
  }
}
