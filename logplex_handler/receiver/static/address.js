// What the page shows stands in its address, so that a reload, going back and a link show it again.

import * as columns from "./columns.js";
import { find, offer } from "./dom.js";
import * as scope from "./scope.js";

// By name in the address; the sources come with the lines, and are offered here already.
const fields = { range: "#range", measures: "#percentile", source: "#source", metric: "#metric-name", request: "#chosen-request" };
const PAUSE = 200; // milliseconds without a change after which it is written
let pending = null; // an address that is to be written
let timer = 0;
const offered = ["source"];
const initial = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, find(field).value]));

// `view`: the name of a view; `line`: the run and the number of the chosen line, or null; `options`: names and values of those
// that are not as usual. With `push`, going back undoes it; with `later`, more changes may follow at once.
export function write(view, line, options, { push = false, later = false }) {
  const found = new URLSearchParams();
  if (view !== "lines") found.set("view", view);
  if (scope.current().text) found.set("q", scope.current().text);
  for (const [name, moment] of Object.entries(scope.spanned() ?? {})) found.set(name, new Date(moment).toISOString());
  for (const [name, field] of Object.entries(fields)) if (find(field).value !== initial[name]) found.set(name, find(field).value);
  for (const [name, value] of options) found.set(name, value);
  // A key has no spaces.
  if (columns.chosen().length) found.set("columns", columns.chosen().join(" "));
  if (find("#only-bad").checked) found.set("bad", "1");
  if (line) found.set("line", line);
  const address = found.size ? "#" + found : location.pathname;
  clearTimeout(timer);
  if (!push) pending = address;
  // The browser takes some milliseconds, which a reader who is writing would notice.
  if (later) { timer = setTimeout(settle, PAUSE); return; }
  settle();
  if (push) put("pushState", address);
}

function settle() {
  clearTimeout(timer);
  if (pending !== null) put("replaceState", pending);
  pending = null;
}

const put = (method, address) => { if (address !== (location.hash || location.pathname)) history[method](null, "", address); };

// The page's address, with all that is shown.
export function current() {
  settle();
  return location.href;
}

// Sets fields and scope, and returns the view, the line and the options.
export function read() {
  clearTimeout(timer);
  pending = null; // It was that of another place in the history.
  const found = new URLSearchParams(location.hash.slice(1));
  for (const [name, field] of Object.entries(fields)) {
    const value = found.get(name) ?? initial[name];
    if (offered.includes(name) && value) offer(find(field), value);
    find(field).value = value;
    // A choice that does not exist leaves a select empty.
    if (find(field).value !== value) find(field).value = initial[name];
  }
  columns.choose((found.get("columns") ?? "").split(" ").filter(Boolean));
  find("#only-bad").checked = found.has("bad");
  const [from, to] = ["from", "to"].map((name) => Date.parse(found.get(name) ?? ""));
  scope.change({ text: found.get("q") ?? "", within: from < to ? { from, to } : null });
  return { view: found.get("view") ?? "lines", line: found.get("line"), options: found };
}
