// Pictures that look like one, nearest first: a panel that Search and a memory's page both open.
import { call } from "./api.js";

const COPIES = { burst: "burst", static: "same still scene", exact: "exact", reencoded: "re-encoded", edited: "edited" };

/** Fill `panel` for a memory. `title`: what it says; `side`: nodes at its right end. */
export async function fill(panel, uid, { title, side = [] }) {
  const head = made("div", "between");
  const line = made("h2", "", title);
  line.append(made("span", "", "by the look of the picture, nearest first"));
  const right = made("div", "row");
  right.append(...side);
  head.append(line, right);
  panel.replaceChildren(head);
  try {
    const { items } = await call("GET", `/memories/${uid}/similar?limit=6`);
    if (!items.length) { panel.append(made("p", "small second", "Nothing looks like this one yet.")); return; }
    const list = document.createElement("ol");
    for (const { memory, score } of items) list.append(picture(memory, score));
    panel.append(list);
  } catch (error) {
    panel.append(made("p", "small second", error.message));
  }
}

function picture(memory, score) {
  const line = document.createElement("li");
  const link = made("a", "thumb");
  link.href = `/memory/${memory.id}`;
  const image = made("img", "picture");
  image.src = `/api/v1/memories/${memory.id}/media?size=320`;
  image.alt = memory.caption || "A picture without a caption yet";
  link.append(image, made("span", "stamp", new Date(memory.captured_at).toLocaleTimeString("en-GB", { timeZone: memory.zone })));
  const told = document.createElement("p");
  const likeness = score >= 1 ? "1.000" : score.toFixed(3).slice(1);
  told.append(made("b", "", likeness), ` ${memory.duplicate ? COPIES[memory.duplicate.kind] : "similar"}`);
  line.append(link, told);
  return line;
}

export function made(name, kind, text = "") {
  const node = document.createElement(name);
  if (kind) node.className = kind;
  if (text) node.textContent = text;
  return node;
}

export function icon(name) {
  const sprite = document.querySelector("svg.icon use").getAttribute("href").replace(/#.*/, "");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${sprite}#${name}`);
  svg.append(use);
  return svg;
}

export function closer(run) {
  const shut = made("button", "icon-button");
  shut.type = "button";
  shut.setAttribute("aria-label", "Close");
  shut.append(icon("close"));
  shut.addEventListener("click", run);
  return shut;
}
