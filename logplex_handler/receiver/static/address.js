// What the page shows stands in its address, so that a reload, going back and a link show it again.

import { find, offer } from "./dom.js";
import * as scope from "./scope.js";

// By name in the address; the sources come with the lines, and are offered here already.
const fields = { range: "#range", source: "#source", metric: "#metric-name" };
const offered = ["source"];
const initial = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, find(field).value]));

export const span = scope.spanned;
export const setSpan = (from, to) => scope.change({ within: from === null ? null : { from, to } });

function put(found, view, { query = "", within = null }) {
  if (view !== "lines") found.set("view", view);
  if (query) found.set("q", query);
  if (within) for (const [name, moment] of Object.entries(within)) found.set(name, new Date(moment).toISOString());
}

// `view`: the name of a view; `line`: the run and the number of the chosen line, or null; `options`: names of those
// that are on. With `push`, going back undoes it.
export function write(view, line, options, push) {
  const found = new URLSearchParams();
  put(found, view, { query: scope.current().text, within: scope.spanned() });
  for (const [name, field] of Object.entries(fields)) if (find(field).value !== initial[name]) found.set(name, find(field).value);
  for (const name of options) found.set(name, "1");
  if (line) found.set("line", line);
  const address = found.size ? "#" + found : location.pathname;
  if (address !== (location.hash || location.pathname)) history[push ? "pushState" : "replaceState"](null, "", address);
}

// The address of a view. For the lines, `text` is a query, and each other name with a value becomes a pair in it.
export function link(view, { span: within, text = "", ...others }) {
  const found = new URLSearchParams();
  const given = Object.entries(others).filter(([, value]) => value);
  const pairs = given.filter(([name]) => view === "lines" || !(name in fields)).map(([name, value]) => scope.pairTerm(name, value));
  put(found, view, { query: [text, ...pairs].filter(Boolean).join(" "), within });
  if (view !== "lines") for (const [name, value] of given) if (name in fields) found.set(name, value);
  return "#" + found;
}

// Sets fields and scope, and returns the view, the line and the options.
export function read() {
  const found = new URLSearchParams(location.hash.slice(1));
  for (const [name, field] of Object.entries(fields)) {
    const value = found.get(name) ?? initial[name];
    if (offered.includes(name) && value) offer(find(field), value);
    find(field).value = value;
    // A choice that does not exist leaves a select empty.
    if (find(field).value !== value) find(field).value = initial[name];
  }
  const [from, to] = ["from", "to"].map((name) => Date.parse(found.get(name) ?? ""));
  scope.change({ text: found.get("q") ?? "", within: from < to ? { from, to } : null });
  return { view: found.get("view") ?? "lines", line: found.get("line"), options: ["local", "wrap", "customer"].filter((name) => found.has(name)) };
}
