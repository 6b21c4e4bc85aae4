// Duplicates: keep all, keep one, not the same; each with Undo. Keys walk the groups and the pictures in them.
import { call } from "./api.js";
import { on } from "./keys.js";
import { refresh } from "./live.js";
import { toast } from "./toast.js";

export function start() {
  const page = document.getElementById("duplicates");
  if (!page) return;
  page.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) act(button);
  });
  on("j", () => walk(1));
  on("k", () => walk(-1));
  on("ArrowRight", () => aside(1));
  on("ArrowLeft", () => aside(-1));
  on("o", () => press("[data-keep-one]", face()));
  on("x", () => press("[data-apart]", face()));
  on("l", () => press("[data-keep-all]", group()));
}

/** Say of two pictures that they are the same, are not, or take it back. */
export function say(memory, other, verdict) {
  return call("POST", "/duplicates/decisions", { memory, other, verdict });
}

async function act(button) {
  const { group: front, kind } = button.closest("[data-group]")?.dataset ?? {};
  const { uid, said } = button.closest("[data-uid]")?.dataset ?? {};
  if (button.matches("[data-keep-all]")) {
    await does(button, () => call("POST", `/duplicates/${front}/keep-all`, { kind }), (done) => `All kept: ${pictures(done.pictures, "duplicate")} said to be the same`,
      () => call("POST", `/duplicates/${front}/undo`, { kind }));
  } else if (button.matches("[data-keep-one]")) {
    await does(button, () => call("POST", `/duplicates/${front}/keep-one`, { kind, keep: uid }), (done) => `${pictures(done.binned.length, "picture")} in the bin${done.left ? `, ${done.left} more are left` : ""}`,
      (done) => call("POST", "/bin/restore", { memories: done.binned }));
  } else if (button.matches("[data-apart]")) {
    await does(button, () => say(uid, front, "apart"), () => "Kept apart from now on", () => say(uid, front, said ?? "withdrawn"));
  } else if (button.matches("[data-withdraw]")) {
    const pair = button.closest("[data-memory]").dataset;
    await does(button, () => say(pair.memory, pair.front, "withdrawn"), () => "Taken back", () => say(pair.memory, pair.front, pair.said));
  }
}

/** Do it once, bring the page up to date, stay where one was, and offer the way back. */
async function does(button, work, words, undo) {
  const item = button.closest("[data-group], [data-memory]");
  const place = items().indexOf(item);
  item.inert = true;
  let done;
  try {
    done = await work();
    await refresh();
  } catch (error) {
    toast(error.message);
    return;
  } finally {
    item.inert = false;
  }
  toast(words(done), { undo: async () => { await undo(done); await refresh(); } });
  if (document.activeElement === document.body || document.activeElement === null) focus(Math.min(place, items().length - 1));
}

function items() {
  return [...document.querySelectorAll("#duplicates [data-group], #duplicates [data-memory]")];
}

function focus(place) {
  const item = items()[place];
  const target = item?.querySelector(".thumb") ?? document.querySelector("#duplicates a.button, #kinds a[aria-current]");
  target?.focus({ preventScroll: !item });
  item?.scrollIntoView({ block: "nearest" });
}

function group() {
  return document.activeElement.closest?.("[data-group], [data-memory]") ?? null;
}

function face() {
  return document.activeElement.closest?.("[data-uid].face-card") ?? null;
}

function walk(by) {
  const now = items().indexOf(group());
  focus(Math.max(0, Math.min(items().length - 1, now < 0 ? 0 : now + by)));
}

function aside(by) {
  const here = face();
  if (!here) return false;
  const all = [...here.closest(".faces").querySelectorAll(".face-card")];
  all[all.indexOf(here) + by]?.querySelector(".thumb").focus();
  return true;
}

function press(selector, within) {
  const button = within?.querySelector(selector);
  button?.click();
  return Boolean(button);
}

function pictures(n, one) {
  return `${n.toLocaleString("en-GB")} ${n === 1 ? one : `${one}s`}`;
}
