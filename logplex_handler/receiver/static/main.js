// The page: joins the events, the three views, the address and the keys.

import * as address from "./address.js";
import * as columns from "./columns.js";
import * as controls from "./controls.js";
import * as detail from "./detail.js";
import { counted, find, grouped, make } from "./dom.js";
import * as events from "./events.js";
import * as lines from "./lines.js";
import * as list from "./list.js";
import * as metrics from "./metrics.js";
import { onPackets } from "./packets.js";
import { load as loadPlots } from "./plot.js";
import * as requests from "./requests.js";
import { say, unsay } from "./notices.js";
import { asShown, copy } from "./saving.js";
import * as scope from "./scope.js";
import * as streams from "./streams.js";
import { switchTheme } from "./theme.js";
import * as timebar from "./timebar.js";

let linked = null; // The line in the address, as run:number, until it comes.

// What comes.
events.on({
  items(items, run) {
    const found = [];
    for (const item of items) {
      if (item.q) requests.add({ n: item.n, ...item.q });
      else {
        found.push(item);
        if (item.m) metrics.add(item);
      }
    }
    if (lines.add(found, run)) {
      say("kept", `The page keeps the last lines only: ${counted(lines.counts.letGo, "older one")} are not here any more.`);
      centres = false;
      list.renew();
    }
    const line = linked && lines.kept().findLast((one) => `${run}:${one.n}` === linked);
    if (line) { linked = null; list.choose(line, { opens: true, centre: true }); }
    drawLines();
  },
  restart() {
    const count = lines.kept().length;
    emptied = count > 0;
    if (count) setAside(`The receiver was started again. ${counted(count, "line")} of the run before ${count === 1 ? "is" : "are"} set aside${
      scope.current().text ? ", and the query still holds" : ""}.`);
    metrics.clear();
    requests.clear();
    redraw(true);
  },
  forget(canUndo) {
    const count = lines.counts.total;
    emptied = canUndo;
    lines.setAside();
    metrics.clear();
    requests.clear();
    // What was brought back comes again.
    undo = () => {};
    unsay("aside");
    if (canUndo) offerUndo(count ? `${counted(count, "line")} cleared.` : "Cleared.");
    renewLines();
    redraw(true);
  },
  undoable(canUndo) { emptied = canUndo; if (canUndo) offerUndo("Earlier lines were cleared."); },
  preview(items, run) {
    lines.startPreview(items, run);
    list.setColumns(new Set(items.map(({ s }) => s)), new Set(items.map(({ p }) => p)));
    list.drawNow();
  },
  loaded() {
    const before = list.chosenLine();
    lines.endPreview();
    find("#status").textContent = "live";
    list.setColumns();
    list.renew();
    if (before) list.choose(lines.kept().find(({ n, run }) => n === before.n && run === before.run), { centre: true });
  },
});

// What brings lines back.
let undo = () => {};

function offerUndo(text) {
  undo = events.undo;
  say("aside", text, [["Undo (u)", () => undo()]]);
}

// Lines of a receiver that is gone are no longer shown, but can be brought back.
function setAside(text) {
  const bringBack = lines.setAside();
  undo = () => { unsay("aside"); undo = () => {}; bringBack(); renewLines(); };
  say("aside", text, [["Show them", () => undo()]]);
  renewLines();
}

function renewLines() {
  list.letGo();
  list.renew();
  drawLines();
}

function drawLines() {
  count();
  controls.offerNames();
  if (!lines.isLoading()) list.setColumns();
  streams.draw();
  list.draw();
  timebar.draw();
}

function put(selector, text) {
  const element = find(selector);
  if (element.textContent !== text) element.textContent = text;
}

function count() {
  put("#count-lines", grouped(lines.counts.total));
  put("#count-metrics", grouped(metrics.count()));
  put("#count-requests", grouped(requests.count()));
  const all = lines.counts.violations + requests.violations();
  const chip = find("#violations");
  chip.hidden = all === 0;
  // A narrow screen shows the number alone.
  if (chip.textContent !== "⚠ " + counted(all, "violation")) {
    chip.replaceChildren(`⚠ ${grouped(all)}`, make("span", { class: "wide", textContent: all === 1 ? " violation" : " violations" }));
  }
  chip.title = `Show them: ${grouped(lines.counts.violations)} in lines, ${grouped(requests.violations())} in requests`;
  find("#dropped").hidden = lines.counts.bySender === 0;
  put("#dropped", `${grouped(lines.counts.bySender)} dropped`);
  if (lines.counts.total === 0) showRefused();
}

let emptied = false; // The lines before were cleared or set aside.

// While there is no line, the refused requests say why.
function showRefused() {
  const refused = requests.refused(3);
  find("#refused").hidden = refused.length === 0;
  find("#empty h2").textContent = refused.length ? "Requests came, but no line was taken" : emptied ? "Nothing has arrived since" : "Nothing has arrived yet";
  find("#refused").replaceChildren(...refused.map((one) => make("article", {},
    make("span", { class: "answer bad", textContent: one.status || "none" }), ...requests.reasons(one))));
}

// Views.
const tabs = [...document.querySelectorAll('[role="tab"]')];
const current = () => tabs.find((tab) => tab.getAttribute("aria-selected") === "true");
const nameOf = (tab) => tab.getAttribute("aria-controls");

function open(tab, focus) {
  const before = current();
  for (const one of tabs) {
    const is = one === tab;
    one.setAttribute("aria-selected", String(is));
    one.tabIndex = is ? 0 : -1;
    find("#" + nameOf(one)).hidden = !is;
  }
  find("#tip").hidden = true;
  if (focus) tab.focus();
  redraw(true);
  if (tab !== before) remember(true);
}

function redraw(force) {
  const view = nameOf(current());
  if (view === "metrics") metrics.draw(force);
  else if (view === "requests") requests.draw(force);
  else if (force) { list.draw(); timebar.draw(); }
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

// The address.
let restoring = false;

function remember(push, later = false) {
  if (restoring) return;
  const chosen = list.chosenLine();
  address.write(nameOf(current()), linked ?? (chosen && `${chosen.run}:${chosen.n}`), controls.chosenOptions(), { push, later });
}

function restore() {
  restoring = true;
  const { view, line, options } = address.read();
  controls.setOptions(options);
  open(tabs.find((tab) => nameOf(tab) === view) ?? tabs[0], false);
  const found = line && lines.kept().find(({ run, n }) => `${run}:${n}` === line);
  linked = found ? null : line;
  requests.want(find("#chosen-request").value);
  if (!found) list.letGo();
  else if (found !== list.chosenLine()) list.choose(found, { opens: true, centre: true });
  restoring = false;
}
addEventListener("popstate", restore);

let centres = false; // whether a search that ends brings the chosen line to the middle
const found = () => list.renew({ centre: centres, anew: false });
lines.onSearch({ more: found, end() { found(); timebar.draw(); } });
onPackets(() => { centres = false; lines.refilter(); list.renew(); });

// What is looked at.
let writes = false; // whether the reader is writing the query
scope.onChange((opens, typed) => {
  centres = true;
  lines.refilter();
  controls.draw();
  list.renew({ centre: true });
  timebar.draw();
  if (opens) open(tabs[0], false);
  redraw(true);
  // Going back undoes what was chosen, and what is written all at once.
  remember(!typed || !writes, typed && writes);
  writes = typed;
});
find("#search").addEventListener("change", () => { writes = false; });
columns.onChange(() => {
  list.renew();
  // Wrapped texts have another width only when their rows are drawn.
  requestAnimationFrame(() => list.renew());
  remember(false);
});
controls.onOption(() => { timebar.draw(); remember(false); });
list.onChosen((line, opens) => {
  if (line === null) detail.close();
  else if (opens || detail.isOpen()) detail.show(line, events.currentRun());
  linked = null;
  remember(false);
});
// A point of a plot leads to its lines, and a chosen line to its place in the plots.
metrics.connect({
  want(number) {
    const line = lines.kept().findLast(({ run, n }) => n === number && run === events.currentRun());
    if (line) list.choose(line, { opens: true, centre: true });
  },
  // In seconds since 1970, or NaN.
  chosenTime: () => (list.chosenLine()?.at ?? NaN) / 1000,
});
detail.onPlotWanted((line) => {
  find("#metric-name").value = line.m[0][1];
  open(tabs[1], true);
  metrics.bringIntoView(line.at / 1000);
});
detail.onClosed(() => { list.letGo(); find("#list").focus(); });

find("#follow").addEventListener("click", () => list.follow(!list.isFollowing()));
find("#clear").addEventListener("click", events.clear);
find("#pause").addEventListener("click", events.togglePause);
find("#dropped").addEventListener("click", () => scope.change({ text: "count#logplex_handler.dropped=*", within: null, opens: true }));
// First those in lines; a second click shows those of requests.
find("#violations").addEventListener("click", () => {
  const seen = current() === tabs[0] && find("#only-violations").checked;
  const inLines = lines.counts.violations > 0 && (!seen || requests.violations() === 0);
  if (inLines) scope.change({ text: "violations>0", within: null, opens: true });
  else find("#only-bad").checked = true;
  open(tabs[inLines ? 0 : 2], false);
  remember(false);
});
requests.onOpened((name) => { find("#chosen-request").value = name; remember(name !== ""); });
find("#only-bad").addEventListener("input", () => { requests.draw(true); remember(false); });
for (const id of ["#range", "#percentile", "#source", "#metric-name"]) find(id).addEventListener("input", () => { metrics.draw(true); remember(false); });
for (const form of document.querySelectorAll("form")) form.addEventListener("submit", (event) => event.preventDefault());

// Keys, unless the user is typing.
const keys = {
  "/": () => { open(tabs[0], false); find("#search").focus(); find("#search").select(); },
  f: () => list.follow(!list.isFollowing()),
  p: events.togglePause,
  c: events.clear,
  u: () => undo(),
  n: () => { list.toTrouble(1); find("#list").focus(); },
  N: () => { list.toTrouble(-1); find("#list").focus(); },
  j: () => { list.move(1); find("#list").focus(); },
  k: () => { list.move(-1); find("#list").focus(); },
  g: () => { list.move(-Infinity); find("#list").focus(); },
  G: () => list.follow(true),
  w: () => find("#wrap").click(),
  b: () => find("#brief").click(),
  o: () => find("#others").click(),
  y: () => { if (list.chosenLine()) copy(asShown(list.chosenLine()), find("#detail:not([hidden]) .actions button")); },
  t: switchTheme,
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isWriting = event.target.matches("input:not([type=checkbox]), select, textarea");
  if (event.key === "Escape") {
    if (document.querySelector(":popover-open")) return; // It closes by itself.
    if (event.target.id === "search" && event.target.value) { scope.change({ text: "" }); return; }
    list.letGo();
    requests.close();
    if (isWriting) event.target.blur();
    if (!find("#lines").hidden) find("#list").focus();
  } else if (isWriting) {
    if (event.target.id === "search" && (event.key === "Enter" || event.key === "ArrowDown")) { event.preventDefault(); find("#list").focus(); }
  } else if (event.key in { 1: 0, 2: 0, 3: 0 }) open(tabs[event.key - 1], true);
  else if (Object.hasOwn(keys, event.key) && (event.key.length > 1 || nameOf(current()) === "lines" || "/t".includes(event.key))) { event.preventDefault(); keys[event.key](); }
});

restore();
events.start().then(loadPlots);
