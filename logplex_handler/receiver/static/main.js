// The page: receives events, and passes them to the three views.

import { counted, find, grouped, make } from "./dom.js";
import * as address from "./address.js";
import * as lines from "./lines.js";
import * as metrics from "./metrics.js";
import * as requests from "./requests.js";

const status = find("#status");
let run = null;
let linked = null; // The line in the address, until it is known whether it is of this run.

const source = new EventSource("/api/events");
source.addEventListener("open", () => { status.textContent = "live"; status.className = "status live"; });
source.addEventListener("error", () => {
  // The browser reconnects by itself, unless the server refused because too many pages are open.
  const refused = source.readyState === EventSource.CLOSED;
  status.textContent = refused ? "refused: close other pages and reload" : "receiver is gone, trying again";
  status.className = "status lost";
});
source.addEventListener("run", (event) => {
  // A restarted receiver numbers its items from the start.
  if (run !== null && run !== event.data) clear();
  run = event.data;
  if (linked?.startsWith(run + ":")) lines.want(Number(linked.slice(run.length + 1)));
  linked = null;
});
source.addEventListener("message", (event) => {
  const { items } = JSON.parse(event.data);
  const found = [];
  for (const item of items) {
    if (item.q) requests.add({ n: item.n, ...item.q });
    else {
      found.push(item);
      if (item.m) metrics.add(item);
    }
  }
  lines.add(found);
  count();
});

function count() {
  find("#count-lines").textContent = grouped(lines.counts.total);
  find("#count-metrics").textContent = grouped(metrics.count());
  find("#count-requests").textContent = grouped(requests.count());
  const all = lines.counts.violations + requests.violations();
  const chip = find("#violations");
  chip.hidden = all === 0;
  chip.textContent = "⚠ " + counted(all, "violation");
  chip.title = `Show them: ${grouped(lines.counts.violations)} in lines, ${grouped(requests.violations())} in requests`;
  if (lines.counts.total === 0) showRefused();
}

// While there is no line, the refused requests say why.
function showRefused() {
  const refused = requests.refused(3);
  find("#refused").hidden = refused.length === 0;
  find("#empty h2").textContent = refused.length ? "Requests came, but no line was taken" : "Nothing has arrived yet";
  find("#refused").replaceChildren(...refused.map((one) => make("article", {},
    make("span", { class: "answer bad", textContent: one.status || "none" }), ...requests.reasons(one))));
}

function clear() {
  lines.clear();
  metrics.clear();
  requests.clear();
  count();
  redraw(true);
  remember(false);
}

// Views.
const tabs = [...document.querySelectorAll('[role="tab"]')];
const current = () => tabs.find((tab) => tab.getAttribute("aria-selected") === "true");

function open(tab, focus) {
  const before = current();
  for (const one of tabs) {
    const is = one === tab;
    one.setAttribute("aria-selected", String(is));
    one.tabIndex = is ? 0 : -1;
    find("#" + one.getAttribute("aria-controls")).hidden = !is;
  }
  find("#tip").hidden = true;
  if (focus) tab.focus();
  redraw(true);
  if (tab !== before) remember(true);
}

// The address.
const nameOf = (tab) => tab.getAttribute("aria-controls");

function remember(push) {
  const number = lines.chosenNumber();
  address.write(nameOf(current()), linked ?? (number === null ? null : `${run}:${number}`), push);
}

function restore() {
  const { view, line } = address.read();
  if (run === null) linked = line;
  else lines.want(line?.startsWith(run + ":") ? Number(line.slice(run.length + 1)) : null);
  open(tabs.find((tab) => nameOf(tab) === view) ?? tabs[0], false);
  lines.refilter();
}

function redraw(force) {
  const view = current().getAttribute("aria-controls");
  if (view === "lines") lines.draw();
  else if (view === "metrics") metrics.draw(force);
  else requests.draw(force);
}

for (const tab of tabs) {
  tab.addEventListener("click", () => open(tab, false));
  tab.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by) open(tabs[(tabs.indexOf(tab) + by + tabs.length) % tabs.length], true);
  });
}
addEventListener("resize", () => redraw(true));
// The plot under the pointer is not redrawn while the pointer is there.
setInterval(() => { if (!document.hidden && find("#tip").hidden) redraw(false); }, 1000);

// Filters.
const filters = find("#filters");
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("input", () => { lines.refilter(); remember(false); });
lines.onChoice(() => remember(false));
metrics.connect(lines);
addEventListener("popstate", restore);
find("#follow").addEventListener("click", () => lines.follow(!lines.isFollowing()));
find("#clear").addEventListener("click", clear);
// First those in lines; a second click shows those of requests.
find("#violations").addEventListener("click", () => {
  const seen = current() === tabs[0] && find("#only-violations").checked;
  const inLines = lines.counts.violations > 0 && (!seen || requests.violations() === 0);
  find(inLines ? "#only-violations" : "#only-bad").checked = true;
  open(tabs[inLines ? 0 : 2], false);
  lines.refilter();
  redraw(true);
  remember(false);
});
find("#only-bad").addEventListener("input", () => requests.draw(true));
for (const id of ["#range", "#source", "#metric-name"]) find(id).addEventListener("input", () => { metrics.draw(true); remember(false); });
for (const form of document.querySelectorAll("form")) form.addEventListener("submit", (event) => event.preventDefault());

// Themes.
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
let theme = null;
try { theme = localStorage.getItem("theme"); } catch { /* Nothing is kept then. */ }
const apply = () => { document.documentElement.dataset.theme = theme ?? (prefersDark.matches ? "dark" : "light"); };
apply();
prefersDark.addEventListener("change", apply);
function switchTheme() {
  theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  try { localStorage.setItem("theme", theme); } catch { /* For this visit only. */ }
  apply();
}
find("#theme").addEventListener("click", switchTheme);

// Keys, unless the user is typing.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const writing = event.target.matches("input, select, textarea");
  if (event.key === "Escape") {
    if (event.target.id === "search" && event.target.value) { event.target.value = ""; lines.refilter(); remember(false); return; }
    lines.close();
    if (writing) event.target.blur();
    if (!find("#lines").hidden) find("#list").focus();
    return;
  }
  if (writing) {
    if (event.target.id === "search" && (event.key === "Enter" || event.key === "ArrowDown")) { event.preventDefault(); find("#list").focus(); }
    return;
  }
  if (event.key === "/") { event.preventDefault(); open(tabs[0], false); find("#search").focus(); find("#search").select(); }
  else if (event.key in { 1: 0, 2: 0, 3: 0 }) open(tabs[event.key - 1], true);
  else if (event.key === "f") lines.follow(!lines.isFollowing());
  else if (event.key === "c") clear();
  else if (event.key === "t") switchTheme();
});

restore();
