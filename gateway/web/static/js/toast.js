// What was done, at the lower edge; with Undo for ten seconds.
const STAYS_MS = 10_000;

export function toast(text, { undo, stays = STAYS_MS } = {}) {
  const box = document.getElementById("toasts");
  const line = document.createElement("div");
  line.className = "toast";
  const words = document.createElement("span");
  words.textContent = text;
  line.append(words);
  let timer = 0;
  const leave = () => { clearTimeout(timer); line.remove(); };
  const wait = () => { clearTimeout(timer); timer = setTimeout(leave, stays); };
  if (undo) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Undo";
    button.addEventListener("click", async () => {
      leave();
      try { await undo(); } catch (error) { toast(error.message); }
    });
    line.append(button);
  }
  line.addEventListener("pointerenter", () => clearTimeout(timer));
  line.addEventListener("focusin", () => clearTimeout(timer));
  line.addEventListener("pointerleave", wait);
  line.addEventListener("focusout", wait);
  box.replaceChildren(line);
  wait();
  return leave;
}

/** Tell a screen reader, and nobody else; at most once a minute. */
let told = 0;
export function tell(text) {
  const now = Date.now();
  if (now - told < 60_000) return;
  told = now;
  document.getElementById("told").textContent = text;
}
