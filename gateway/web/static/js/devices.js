// Devices: what was kept shows at once.
import { refresh } from "./live.js";

export function start() {
  document.addEventListener("kept", (event) => {
    event.target.closest("details")?.removeAttribute("open");
    refresh();
  });
}
