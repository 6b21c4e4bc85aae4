// Forms: two passwords that must be the same, a password's length told while one types, and forms that ask the API.
import { call } from "./api.js";
import { toast } from "./toast.js";

/** Minutes: the page was made a moment ago, and zones lie a quarter of an hour apart at least. */
const CLOCKS_APART = 5;
const LEAST = 12;

export function startForms() {
  for (const form of document.querySelectorAll("form[data-passwords]")) passwords(form);
  for (const button of document.querySelectorAll("[data-reveal]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const input = document.getElementById(button.dataset.reveal);
      input.type = input.type === "password" ? "text" : "password";
      button.setAttribute("aria-pressed", String(input.type === "text"));
    });
  }
  for (const form of document.querySelectorAll("form[data-camera]")) camera(form);
  document.addEventListener("submit", submitted);
  const zone = document.querySelector("[data-zone-check]");
  if (zone) sameTime(zone);
}

function passwords(form) {
  const [first, again] = form.querySelectorAll("input[type=password]");
  const note = document.getElementById("h-password");
  const check = () => {
    const short = first.value.length > 0 && first.value.length < LEAST;
    first.setAttribute("aria-invalid", String(short));
    first.setCustomValidity(short ? `Use at least ${LEAST} characters` : "");
    if (note) {
      note.className = short ? "fault" : "help";
      note.textContent = short
        ? `${first.value.length} characters so far. Use at least ${LEAST}; three or four words are good.`
        : `At least ${LEAST} characters; three or four words are good.`;
    }
    const differ = again.value !== "" && again.value !== first.value;
    again.setAttribute("aria-invalid", String(differ));
    again.setCustomValidity(again.value === first.value ? "" : "The two are not the same");
  };
  first.addEventListener("input", check);
  again.addEventListener("input", check);
}

/** The id follows the name until somebody types one; the topic shown follows the id. */
function camera(form) {
  const { name, id, room } = form.elements;
  let own = false, ownRoom = false;
  const show = () => { for (const place of form.querySelectorAll("[data-topic-id]")) place.textContent = id.value || "…"; };
  const follow = () => {
    if (!own) id.value = name.value.normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 32);
    if (!ownRoom) room.value = name.value;
    show();
  };
  if (name.value !== name.defaultValue) follow();
  name.addEventListener("input", follow);
  id.addEventListener("input", () => { own = true; show(); });
  room.addEventListener("input", () => { ownRoom = true; });
}

function sameTime(node) {
  const now = new Date();
  const [hours, minutes] = node.dataset.zoneCheck.split(":").map(Number);
  const apart = Math.abs(now.getHours() * 60 + now.getMinutes() - hours * 60 - minutes);
  node.hidden = Math.min(apart, 1440 - apart) <= CLOCKS_APART;
}

/** <form data-api="PATCH /devices/x" data-done="Kept">: posted as JSON; empty fields are left out, `name[]` is a list. */
async function submitted(event) {
  const form = event.target;
  if (!form.dataset.api) return;
  event.preventDefault();
  const [method, path] = form.dataset.api.split(" ");
  const body = {};
  for (const [name, value] of new FormData(form)) {
    if (typeof value !== "string" || value === "") continue;
    if (name.endsWith("[]")) body[name.slice(0, -2)] = [value]; else body[name] = value;
  }
  const fault = form.querySelector(".fault[data-for-form]");
  const button = form.querySelector("button:not([type=button])");
  if (button) button.disabled = true;
  try {
    const target = path.includes("{") ? path.replace(/\{(\w+)\}/g, (_, name) => { const value = body[name]; delete body[name]; return encodeURIComponent(value ?? ""); }) : path;
    const answer = await call(method, target, method === "DELETE" ? undefined : body);
    if (form.dataset.next) location.assign(form.dataset.next);
    else if (form.dataset.done) toast(form.dataset.done);
    form.dispatchEvent(new CustomEvent("kept", { bubbles: true, detail: answer }));
  } catch (error) {
    if (fault) { fault.hidden = false; fault.querySelector("span").textContent = error.message; } else toast(error.message);
  } finally {
    if (button) button.disabled = false;
  }
}
