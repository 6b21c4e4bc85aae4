// Health: try again what was set aside, and look again every few seconds while somebody looks.
import { call } from "./api.js";
import { refresh } from "./live.js";
import { toast } from "./toast.js";

const EVERY_MS = 5_000;

export function start() {
  document.addEventListener("click", async (event) => {
    const one = event.target.closest("[data-retry]");
    const all = event.target.closest("[data-retry-all]");
    if (!one && !all) return;
    (one ?? all).disabled = true;
    try {
      if (one) {
        await call("POST", `/jobs/${one.dataset.retry}/retry`, {});
        toast("Being tried again");
      } else {
        const { retried } = await call("POST", "/jobs/retry", { step: new URLSearchParams(location.search).get("step") ?? "" });
        toast(`${retried} being tried again`);
      }
      await refresh();
    } catch (error) {
      toast(error.message);
    } finally {
      (one ?? all).disabled = false;
    }
  });
  setInterval(() => { if (!document.hidden) refresh().catch(() => {}); }, EVERY_MS);
}
