// Devices: what was kept shows at once; a pairing window counts down, and the camera that came in appears by itself.
import { call } from "./api.js";
import { refresh, wired } from "./live.js";
import { tell, toast } from "./toast.js";

const LOOK_MS = 2_000;
let until = 0;

export function start() {
  document.addEventListener("kept", (event) => {
    event.target.closest("details")?.removeAttribute("open");
    refresh();
  });
  document.addEventListener("click", copy);
  if (!document.getElementById("pairing")) return;
  document.getElementById("pair-title").focus({ preventScroll: true });
  wired(count);
  setInterval(tick, 1_000);
  setInterval(look, LOOK_MS);
}

function count() {
  const left = document.querySelector("[data-left]");
  until = left ? Date.now() + Number(left.dataset.left) * 1_000 : 0;
}

function tick() {
  const left = document.querySelector("[data-left]");
  if (!left) return;
  const seconds = Math.max(0, Math.round((until - Date.now()) / 1_000));
  left.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} left`;
  const full = document.querySelector("#pairing .bar-full");
  full?.setAttribute("width", `${((100 * seconds) / Number(left.dataset.whole)).toFixed(1)}%`);
}

async function look() {
  const panel = document.getElementById("pairing");
  if (document.hidden || panel?.dataset.pairing !== "open") return;
  let window_;
  try { window_ = await call("GET", "/devices/pair"); } catch { return; }
  if (window_.state === panel.dataset.pairing && String(window_.tries_left) === panel.dataset.tries) return;
  await refresh();
  if (window_.state === "paired") tell("The camera is in.");
  if (window_.state === "over") tell("This code is over.");
}

async function copy(event) {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    toast("Copied");
  } catch {
    toast("This browser does not let a page copy: type the code.");
  }
}
