// Bring what is marked data-live up to date without losing focus, place, or what is folded open.
const before = [];
let running = null;

/** Called after each change of the page, to wire what is new. */
export function wired(run) {
  before.push(run);
  run();
}

export async function refresh(address = location.href) {
  while (running) await running.catch(() => {});
  running = load(address).finally(() => { running = null; });
  return running;
}

async function load(address) {
  const url = new URL(address, location.href);
  url.hash = "";
  url.searchParams.set("fragment", "1");
  const slow = setTimeout(() => { for (const part of live()) if (part.getAttribute("aria-busy")) part.classList.add("slow"); }, 300);
  try {
    const response = await fetch(url, { headers: { Accept: "text/html" } });
    if (response.redirected && !new URL(response.url).searchParams.has("fragment")) { location.assign(response.url); return; }
    if (!response.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    const anchor = firstInView();
    const top = anchor?.getBoundingClientRect().top ?? 0;
    for (const part of live()) {
      const next = fresh.getElementById(part.id);
      if (!next) continue;
      morph(part, next);
    }
    if (anchor?.isConnected) scrollBy(0, anchor.getBoundingClientRect().top - top);
    for (const run of before) run();
  } finally {
    clearTimeout(slow);
    for (const part of live()) { part.removeAttribute("aria-busy"); part.classList.remove("slow"); }
  }
}

/** Change the address and what it shows, in place. */
export async function visit(address) {
  history.pushState(null, "", address);
  document.getElementById("log")?.setAttribute("aria-busy", "true");
  await refresh(address);
}

addEventListener("popstate", () => refresh());

function live() {
  return document.querySelectorAll("[data-live]");
}

/** What somebody writes in right now is theirs. */
function theirs(node) {
  return node.nodeType === Node.ELEMENT_NODE && node === document.activeElement && node.matches("input:not([type=checkbox], [type=radio]), textarea, select");
}

function firstInView() {
  if (scrollY < 40) return null;
  return [...document.querySelectorAll(".log > li")].find((each) => each.getBoundingClientRect().bottom > 0) ?? null;
}

/** Make `a` like `b`, keeping nodes that stand: pictures do not flicker and focus stays. */
export function morph(a, b) {
  if (a.isEqualNode(b) || theirs(a)) return;
  if (a.nodeType !== b.nodeType || a.nodeName !== b.nodeName) { a.replaceWith(document.importNode(b, true)); return; }
  if (a.nodeType !== Node.ELEMENT_NODE) { if (a.nodeValue !== b.nodeValue) a.nodeValue = b.nodeValue; return; }
  for (const { name } of [...a.attributes]) if (!b.hasAttribute(name) && !(name === "open" && a.localName === "details")) a.removeAttribute(name);
  for (const { name, value } of [...b.attributes]) if (a.getAttribute(name) !== value) a.setAttribute(name, value);
  const keyed = new Map([...a.children].filter((each) => each.id).map((each) => [each.id, each]));
  let at = a.firstChild;
  for (const next of [...b.childNodes]) {
    const known = next.id ? keyed.get(next.id) : null;
    if (known) {
      if (known !== at) a.insertBefore(known, at); else at = at.nextSibling;
      morph(known, next);
    } else if (at && !(at.id && keyed.has(at.id)) && at.nodeType === next.nodeType && at.nodeName === next.nodeName) {
      const now = at;
      at = at.nextSibling;
      morph(now, next);
    } else {
      a.insertBefore(document.importNode(next, true), at);
    }
  }
  while (at) { const gone = at; at = at.nextSibling; gone.remove(); }
}
