// The menu of streams: which are shown, in which colour, with how many lines; and one customer's view.

import { colour } from "./colours.js";
import { find, grouped, make, visible } from "./dom.js";
import * as lines from "./lines.js";
import { quote } from "./query.js";
import * as scope from "./scope.js";

const MOST = 500; // A program that makes up names without end must not freeze the page.

const SEVERAL = 8; // from which on there is a box to find one

const menu = find("#streams-menu");
const seeker = find("#find-stream");
const choices = find("#streams");
const items = new Map(); // by name: {element, box, number}
let viewAsCustomer = () => {};
export function onCustomer(call) { viewAsCustomer = call; }

const names = () => [...lines.streams.keys()];
const shownOnes = () => names().filter(scope.showsStream);

// Called when lines came or the scope has changed; what did not change is left alone.
export function draw() {
  const shown = shownOnes();
  const all = lines.streams.size;
  const text = all > 0 && shown.length === 1 && all > 1 ? visible(shown[0]) : shown.length === all ? "all" : `${shown.length} of ${grouped(all)}`;
  for (const element of document.querySelectorAll(".streams-shown")) if (element.textContent !== text) element.textContent = text;
  if (!menu.matches(":popover-open")) return;
  seeker.hidden = all < SEVERAL;
  const sought = seeker.hidden ? "" : seeker.value.toLowerCase();
  const found = names().filter((name) => name.toLowerCase().includes(sought));
  const wanted = new Set(found.slice(0, MOST));
  for (const [name, item] of items) if (!wanted.has(name)) { item.element.remove(); items.delete(name); }
  for (const name of wanted) {
    const number = lines.streams.get(name);
    if (!items.has(name)) put(name);
    const item = items.get(name);
    item.number.textContent = grouped(number);
    item.box.checked = scope.showsStream(name);
  }
  const left = found.length - items.size;
  find("#streams-more").hidden = left === 0 && found.length > 0;
  find("#streams-more").textContent = found.length ? `${grouped(left)} more: write a part of the name above.` : "No stream has this in its name.";
}

// In alphabetical order.
function put(name) {
  const box = make("input", { type: "checkbox" });
  box.addEventListener("input", () => toggle(name));
  const dot = make("span", { class: "dot" });
  colour(dot, "stream", name);
  const number = make("span", { class: "number" });
  const only = button("only", `Only lines of ${name}`, () => scope.replace("stream", `stream=${quote(name)}`));
  const view = button("as customer", `What the customer of ${name} sees in heroku logs`, () => {
    scope.replace("stream", `stream=${quote(name)}`);
    viewAsCustomer();
    menu.hidePopover();
  });
  const element = make("li", {}, make("label", {}, box, dot, make("span", { class: "name", textContent: visible(name) || "none" }), number), only, view);
  const next = [...items].filter(([other]) => other > name).sort(([a], [b]) => (a < b ? -1 : 1))[0];
  choices.insertBefore(element, next ? next[1].element : null);
  items.set(name, { element, box, number });
}

function button(text, label, call) {
  const made = make("button", { type: "button", textContent: text, title: visible(label) });
  made.setAttribute("aria-label", visible(label));
  made.addEventListener("click", call);
  return made;
}

// Names the shown streams if they are the fewer; otherwise the others, so that new streams are shown.
function toggle(name) {
  const shown = new Set(shownOnes());
  if (!shown.delete(name)) shown.add(name);
  const hidden = names().filter((one) => !shown.has(one));
  const listed = (some) => some.map(quote).join(",");
  if (!hidden.length) scope.replace("stream", "");
  else if (shown.size && shown.size <= hidden.length) scope.replace("stream", `stream=${listed([...shown])}`);
  else scope.replace("stream", `-stream=${listed(hidden)}`);
}

menu.addEventListener("toggle", draw);
seeker.addEventListener("input", draw);
// All of those that were found.
seeker.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !items.size) return;
  event.preventDefault();
  scope.replace("stream", `stream=${/[\s",*\\]/.test(seeker.value) ? [...items.keys()].map(quote).join(",") : `*${seeker.value}*`}`);
});
find("#streams-all").addEventListener("click", () => scope.replace("stream", ""));
