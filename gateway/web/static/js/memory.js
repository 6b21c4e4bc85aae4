// One memory: boxes, stepping, playing from a line, correcting, sharing, deleting with Undo.
import { call } from "./api.js";
import { closer, fill, made } from "./alike.js";
import { say } from "./duplicates.js";
import { on, go } from "./keys.js";
import { refresh, wired } from "./live.js";
import { toast } from "./toast.js";

const LABELS = { private: "Only me", circle: "Circle", public: "Public" };
const uid = document.body.dataset.uid;

export function start() {
  const page = document.getElementById("memory");
  if (!page) return;
  page.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) clicked(button);
  });
  page.addEventListener("change", changed);
  page.addEventListener("kept", (event) => { event.target.closest("details")?.removeAttribute("open"); event.target.reset?.(); refresh(); });
  document.querySelector("[data-back]")?.addEventListener("click", (event) => { if (history.length > 1) { event.preventDefault(); history.back(); } });
  wired(boxes);
  for (const player of document.querySelectorAll("[data-player]")) playing(player);
  on("ArrowLeft", () => step("ArrowLeft"));
  on("ArrowRight", () => step("ArrowRight"));
  on("b", () => toggle("[data-boxes]"));
  on("p", () => toggle("[data-print]"));
  on("e", () => { const fold = document.getElementById("correct"); if (fold) { fold.open = true; fold.querySelector("textarea").focus(); } });
  on("s", () => document.querySelector("[data-similar]")?.click());
  on("v", () => { const who = document.getElementById("who"); who.scrollIntoView({ block: "center" }); who.focus(); });
  on(" ", (event) => {
    if (event.target.closest("button, a, summary, select, input")) return false;
    const play = document.querySelector("[data-play-here]");
    play?.click();
    return Boolean(play);
  });
}

function step(key) {
  if (document.activeElement?.closest('[role="slider"]')) return false;
  const link = document.querySelector(`[data-key="${key}"]`);
  if (link) go(link.href);
  return Boolean(link);
}

function toggle(selector) {
  const box = document.querySelector(selector);
  if (box) { box.checked = !box.checked; boxes(); }
}

function boxes() {
  const shown = document.getElementById("shown");
  if (!shown) return;
  shown.classList.toggle("no-boxes", document.querySelector("[data-boxes]")?.checked === false);
  shown.classList.toggle("no-print", document.querySelector("[data-print]")?.checked === false);
}

function changed(event) {
  if (event.target.matches("[data-boxes], [data-print]")) boxes();
  if (event.target.matches("[data-uses]")) change({ ai_usage: event.target.value }, "Machines may use it differently now");
}

async function change(body, words, undo) {
  try {
    await call("PATCH", `/memories/${uid}`, body);
    await refresh();
    toast(words, { undo: undo && (async () => { await call("PATCH", `/memories/${uid}`, undo); await refresh(); }) });
  } catch (error) {
    toast(error.message);
  }
}

async function clicked(button) {
  const { privacy, untag, apart, withdraw, front, said } = button.dataset;
  const now = document.querySelector('[data-privacy][aria-pressed="true"]')?.dataset.privacy;
  if (privacy && privacy !== now) await change({ privacy }, `${LABELS[privacy]} from now on`, { privacy: now });
  else if (untag) await change({ remove_tags: [untag] }, `Took “${untag}” away`, { add_tags: [untag] });
  else if (button.matches("[data-hide]")) await change({ privacy: "private" }, "Hidden from the circle", { privacy: now });
  else if (apart) await decide([apart, front], "apart", "withdrawn", "Kept apart from now on");
  else if (withdraw) await decide([withdraw, front], "withdrawn", said, "Taken back");
  else if (button.matches("[data-again]")) await again();
  else if (button.matches("[data-delete]")) await forget();
  else if (button.matches("[data-similar]")) await similar();
}

/** Say something of two pictures; `back` is what the way back says. */
async function decide([one, other], verdict, back, words) {
  try {
    await say(one, other, verdict);
    await refresh();
    toast(words, { undo: async () => { await say(one, other, back); await refresh(); } });
  } catch (error) {
    toast(error.message);
  }
}

async function again() {
  try {
    await call("POST", `/memories/${uid}/again`, {});
    toast("Being understood again, before all else");
  } catch (error) {
    toast(error.message);
  }
}

async function forget() {
  const page = document.getElementById("memory");
  try {
    await call("DELETE", `/memories/${uid}`);
  } catch (error) {
    toast(error.message);
    return;
  }
  page.classList.add("forgotten");
  page.inert = true;
  const leave = setTimeout(() => go(document.querySelector("#crumbs a").href), 10_000);
  toast("Deleted", {
    undo: async () => {
      clearTimeout(leave);
      await call("POST", `/memories/${uid}/restore`);
      page.classList.remove("forgotten");
      page.inert = false;
      await refresh();
    },
  });
  document.querySelector("#toasts button")?.focus();
}

async function similar() {
  const place = document.getElementById("alike");
  if (!place) return;
  if (place.firstChild) { place.replaceChildren(); return; }
  const panel = made("div", "alike");
  place.append(panel);
  await fill(panel, uid, { title: "Similar pictures", side: [closer(() => place.replaceChildren())] });
}

/* ---- sound ---- */
const BARS = 110;

function playing(player) {
  const audio = new Audio();
  audio.preload = "none";
  audio.src = player.dataset.src;
  const button = player.querySelector("[data-play-here]");
  const box = player.querySelector(".wave-box");
  const time = player.querySelector("[data-time]");
  const whole = time.textContent.split("/")[1].trim();
  const lines = [...player.querySelectorAll("[data-at]")];
  const at = (share) => { if (audio.duration) audio.currentTime = share * audio.duration; };
  const show = () => {
    const share = audio.duration ? audio.currentTime / audio.duration : 0;
    const bars = box.querySelectorAll("rect");
    bars.forEach((bar, n) => bar.classList.toggle("past", n / bars.length < share));
    box.setAttribute("aria-valuenow", String(Math.round(share * 100)));
    time.textContent = `${clock(audio.currentTime)} / ${whole}`;
    const now = lines.findLast((line) => Number(line.dataset.at) <= audio.currentTime + 0.05);
    for (const line of lines) line.classList.toggle("now", line === now && audio.currentTime > 0);
  };
  const sign = () => {
    button.setAttribute("aria-label", audio.paused ? "Play" : "Pause");
    const use = button.querySelector("use");
    use.setAttribute("href", use.getAttribute("href").replace(/#.*/, audio.paused ? "#play" : "#pause"));
  };
  for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, sign);
  audio.addEventListener("timeupdate", show);
  audio.addEventListener("error", () => { if (audio.error) toast("This sound cannot be played here."); });
  const play = () => audio.play().catch(() => {});
  button.addEventListener("click", () => (audio.paused ? play() : audio.pause()));
  box.addEventListener("click", (event) => {
    const place = box.getBoundingClientRect();
    at((event.clientX - place.left) / place.width);
  });
  box.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -5, ArrowRight: 5 }[event.key];
    if (by) { event.preventDefault(); event.stopPropagation(); audio.currentTime = Math.max(0, audio.currentTime + by); }
  });
  for (const line of lines) line.addEventListener("click", () => { audio.currentTime = Number(line.dataset.at); play(); });
  wave(player.dataset.src, box.querySelector("svg"));
}

function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

/** Draw the recording's own levels. */
async function wave(src, svg) {
  try {
    const bytes = await (await fetch(src)).arrayBuffer();
    const decoded = await new OfflineAudioContext(1, 1, 16_000).decodeAudioData(bytes);
    const samples = decoded.getChannelData(0);
    const wide = Math.max(1, Math.floor(samples.length / BARS));
    const levels = Array.from({ length: BARS }, (_, n) => {
      let most = 0;
      for (let k = n * wide; k < Math.min(samples.length, (n + 1) * wide); k += 1) most = Math.max(most, Math.abs(samples[k]));
      return most;
    });
    const top = Math.max(0.02, ...levels);
    svg.replaceChildren(...levels.map((level, n) => {
      const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      const tall = Math.max(4, 40 * (level / top));
      for (const [name, value] of Object.entries({ x: `${(n / BARS) * 100}%`, y: 22 - tall / 2, width: 3, height: tall, rx: 1.5 })) bar.setAttribute(name, String(value));
      return bar;
    }));
  } catch { /* the plain line stays: the sound can be played all the same */ }
}
