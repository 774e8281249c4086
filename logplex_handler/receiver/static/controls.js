// The controls above the lines. The query is the one state: the menus write terms into it, and show what it says.

import * as address from "./address.js";
import * as clock from "./clock.js";
import { find, offer } from "./dom.js";
import * as lines from "./lines.js";
import * as list from "./list.js";
import { LEVELS, quote } from "./query.js";
import { shorten } from "./row.js";
import { copy, save } from "./saving.js";
import * as scope from "./scope.js";
import * as streams from "./streams.js";

const box = find("#search");
const options = { local: find("#local-time"), wrap: find("#wrap"), customer: find("#as-customer"), brief: find("#brief"), others: find("#others") };
// A narrow screen has no room for what most lines begin with.
const usual = { brief: matchMedia("(max-width: 800px)").matches };
const NARROWING = ["stream", "process", "level", "violations"]; // what the controls beside the query write into it
let onOptions = () => {};
export function onOption(call) { onOptions = call; }

// The options that are not as usual, by name, for the address: 1 for on, 0 for off.
export const chosenOptions = () => Object.keys(options).filter((name) => options[name].checked !== Boolean(usual[name]))
  .map((name) => [name, options[name].checked ? "1" : "0"]);

export function setOptions(given) {
  let changes = false;
  for (const [name, control] of Object.entries(options)) {
    const wanted = given.has(name) ? given.get(name) !== "0" : Boolean(usual[name]);
    changes ||= control.checked !== wanted;
    control.checked = wanted;
  }
  if (changes) apply();
}

function apply() {
  clock.useLocal(options.local.checked);
  find("#zone").textContent = clock.zone();
  find("#customer-on").hidden = !options.customer.checked;
  find("#list").classList.toggle("as-customer", options.customer.checked);
  if (lines.isAsCustomer() !== options.customer.checked) lines.viewAsCustomer(options.customer.checked);
  lines.showOthers(options.others.checked);
  shorten(options.brief.checked && !options.customer.checked);
  list.wrap(options.wrap.checked);
}

for (const control of Object.values(options)) control.addEventListener("input", () => { apply(); onOptions(); });
const setCustomer = (wanted) => { options.customer.checked = wanted; apply(); onOptions(); };
streams.onCustomer(() => setCustomer(true));
find("#customer-off").addEventListener("click", () => setCustomer(false));

// New processes are offered.
const offered = new Set();
export function offerNames() {
  if (offered.size === lines.processes.size) return;
  for (const name of lines.processes.keys()) if (!offered.has(name)) { offered.add(name); offer(find("#process"), name); }
  drawProcess();
}

// Shows what the query says.
export function draw() {
  const query = scope.current();
  if (box.value !== query.text) box.value = query.text;
  const error = find("#query-error");
  error.hidden = query.error === null;
  error.textContent = query.error ?? "";
  box.setAttribute("aria-invalid", String(query.error !== null));
  drawProcess();
  const level = only("level");
  find("#level").value = level?.sign === ">=" ? String(LEVELS[level.bound.toLowerCase()]) : "7";
  if (find("#level").value === "") find("#level").value = "7";
  find("#only-violations").checked = query.terms.some((term) => term.source === "violations>0");
  const narrows = new Set(query.terms.map(({ key }) => key).filter((key) => NARROWING.includes(key)));
  find("#narrowing-count").textContent = narrows.size || "";
  streams.draw();
}

const only = (key) => scope.current().terms.find((term) => term.key === key && !term.excludes);

function drawProcess() {
  const term = only("process");
  const name = term?.values?.length === 1 ? [...lines.processes.keys()].find((one) => `process=${quote(one)}` === term.source) : undefined;
  find("#process").value = name ?? "";
}

box.addEventListener("input", () => scope.change({ text: box.value, typed: true }));
find("#process").addEventListener("input", (event) =>
  scope.replace("process", event.target.value && `process=${quote(event.target.value)}`));
find("#level").addEventListener("input", (event) => {
  const name = Object.keys(LEVELS).find((one) => LEVELS[one] === Number(event.target.value));
  scope.replace("level", name === "debug" ? "" : `level>=${name}`);
});
find("#only-violations").addEventListener("input", (event) => scope.replace("violations", event.target.checked ? "violations>0" : ""));
find("#show-all").addEventListener("click", () => scope.change({ text: "", within: null }));
find("#show-streams").addEventListener("click", () => scope.replace("stream", ""));
find("#copy-link").addEventListener("click", (event) => copy(address.current(), event.target));
find("#save-text").addEventListener("click", () => save("text"));
find("#save-json").addEventListener("click", () => save("ndjson"));

// Menus open below their buttons.
for (const opener of document.querySelectorAll("[popovertarget]")) {
  const menu = document.getElementById(opener.getAttribute("popovertarget"));
  menu.addEventListener("toggle", () => {
    if (!menu.matches(":popover-open") || !opener.checkVisibility()) return;
    const { left, bottom } = opener.getBoundingClientRect();
    menu.style.left = Math.max(8, Math.min(left, innerWidth - menu.offsetWidth - 8)) + "px";
    menu.style.top = bottom + 4 + "px";
    menu.style.maxHeight = innerHeight - bottom - 16 + "px";
  });
}
