// Live events: what changed is fetched again; a box that does not answer is said so, and the page stays.
import { refresh } from "./live.js";
import { tell } from "./toast.js";

const WATCHED = {
  today: ["memory", "gap", "device", "job"],
  day: ["memory", "gap"],
  memory: ["memory"],
  duplicates: ["memory"],
  devices: ["device", "gap", "memory"],
  device: ["device", "gap", "memory"],
  health: ["job", "refusal", "memory"],
};
const EVERY_MS = 4_000;
const AGAIN_S = 5;
let source = null;
let last = "";
let due = 0;
let fetched = 0;
let since = null;
let left = 0;
let ticking = 0;
let first = true;

export function startEvents() {
  if (!document.getElementById("away") || !document.querySelector(".me")) return;
  document.querySelector("#away button").addEventListener("click", connect);
  addEventListener("hearthlog-reconnect", connect);
  document.addEventListener("visibilitychange", () => { if (!document.hidden && due) soon(); });
  connect();
}

function connect() {
  source?.close();
  source = new EventSource(`/api/v1/events${last ? `?cursor=${encodeURIComponent(last)}` : ""}`);
  source.addEventListener("open", back);
  source.addEventListener("change", changed);
  source.addEventListener("reset", (event) => { last = event.lastEventId || last; soon(); });
  source.addEventListener("over", () => location.assign("/sign-in"));
  source.addEventListener("error", gone);
}

function changed(event) {
  last = event.lastEventId || last;
  let change;
  try { change = JSON.parse(event.data); } catch { return; }
  const page = document.body.dataset.page;
  const wanted = WATCHED[page] ?? [];
  if (!wanted.includes(change.entity)) return;
  if (page === "memory" && change.entity === "memory" && change.id !== document.body.dataset.uid) return;
  soon();
}

function soon() {
  if (due) return;
  due = setTimeout(async () => {
    if (document.hidden) return;
    due = 0;
    fetched = Date.now();
    try { await refresh(); } catch { return; }
    if (document.body.dataset.page === "today") tell("The log has something new.");
  }, Math.max(400, EVERY_MS - (Date.now() - fetched)));
}

function gone() {
  source.close();
  since ??= new Date();
  left = AGAIN_S;
  clearInterval(ticking);
  ticking = setInterval(() => {
    left -= 1;
    if (left <= 0) { clearInterval(ticking); show("Trying again…"); connect(); } else show(`Trying again in ${left} s.`);
  }, 1_000);
  if (Date.now() - since > 1_500 || document.getElementById("away").hidden === false) show(`Trying again in ${left} s.`);
}

function show(trying) {
  const banner = document.getElementById("away");
  const clock = since.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  banner.querySelector("b").textContent = `The box has not answered since ${clock}.`;
  banner.querySelector("span").textContent = `What you see is from then. ${trying}`;
  banner.hidden = false;
  document.getElementById("main").classList.add("stale");
}

function back() {
  clearInterval(ticking);
  const away = since !== null || first;  // what changed between the page and its first event is not told by events
  first = false;
  since = null;
  document.getElementById("away").hidden = true;
  document.getElementById("main").classList.remove("stale");
  if (away && WATCHED[document.body.dataset.page]) soon();
}
