// What the page shows stands in its address, so that a reload, going back and a link show it again.

import { find, offer } from "./dom.js";

// By name in the address; those whose choices come with the lines are offered here already.
const fields = { text: "#search", stream: "#stream", process: "#process", level: "#level", range: "#range", source: "#source", metric: "#metric-name" };
const offered = ["stream", "process", "source"];
// The span of time that lines and plots are limited to, `from` included and `to` not, in milliseconds since the epoch; or null.
let chosenSpan = null;
export const span = () => chosenSpan;
export const setSpan = (from, to) => { chosenSpan = from === null ? null : { from, to }; };
const initial = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, find(field).value]));

// `view`: the name of a view; `line`: the run and the number of the chosen line, or null. With `push`, going back undoes it.
export function write(view, line, push) {
  const found = new URLSearchParams();
  if (view !== "lines") found.set("view", view);
  for (const [name, field] of Object.entries(fields)) if (find(field).value !== initial[name]) found.set(name, find(field).value);
  if (find("#only-violations").checked) found.set("violations", "1");
  if (chosenSpan) for (const [name, moment] of Object.entries(chosenSpan)) found.set(name, new Date(moment).toISOString());
  if (line) found.set("line", line);
  const address = found.size ? "#" + found : location.pathname;
  if (address !== (location.hash || location.pathname)) history[push ? "pushState" : "replaceState"](null, "", address);
}

// The address of a view with these filters alone; `span` as above.
export function link(view, { span, ...others }) {
  const found = new URLSearchParams(view === "lines" ? {} : { view });
  for (const [name, value] of Object.entries(others)) if (value) found.set(name, value);
  if (span) for (const [name, moment] of Object.entries(span)) found.set(name, new Date(moment).toISOString());
  return "#" + found;
}

// Sets all fields, and returns the view and the line.
export function read() {
  const found = new URLSearchParams(location.hash.slice(1));
  for (const [name, field] of Object.entries(fields)) {
    const value = found.get(name) ?? initial[name];
    if (offered.includes(name) && value) offer(find(field), value);
    find(field).value = value;
    // A choice that does not exist leaves a select empty.
    if (find(field).value !== value) find(field).value = initial[name];
  }
  find("#only-violations").checked = found.has("violations");
  const [from, to] = ["from", "to"].map((name) => Date.parse(found.get(name) ?? ""));
  setSpan(from < to ? from : null, to);
  return { view: found.get("view") ?? "lines", line: found.get("line") };
}
