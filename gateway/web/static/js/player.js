// One sound at a time. A button with data-play plays that address and shows whether it does.
let audio = null;
let by = null;

export function play(button) {
  if (by === button && audio && !audio.paused) { audio.pause(); return audio; }
  if (by !== button) {
    audio?.pause();
    show(by, false);
    audio = new Audio(button.dataset.play);
    by = button;
    audio.addEventListener("pause", () => show(button, false));
    audio.addEventListener("ended", () => show(button, false));
  }
  audio.play().then(() => show(button, true), () => show(button, false));
  return audio;
}

function show(button, playing) {
  if (!button) return;
  button.setAttribute("aria-label", playing ? "Pause" : "Play");
  const use = button.querySelector("use");
  use?.setAttribute("href", use.getAttribute("href").replace(/#.*/, playing ? "#pause" : "#play"));
}
