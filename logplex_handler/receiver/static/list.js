// The list: draws the visible rows only, so that a hundred thousand lines cost as little as forty. A row
// keeps its element while it is visible, and with it the focus and what is selected in it.

import { counted, find, grouped, visible } from "./dom.js";
import { Heights } from "./heights.js";
import * as lines from "./lines.js";
import { rowOf, textOf } from "./row.js";
import { asShown } from "./saving.js";
import * as scope from "./scope.js";

const ROW = 22; // pixels, as in lines.css
const HEAD = 18; // on narrow screens, of the line with time and process, as in small.css
const SPARE = 8; // rows above and below the visible ones

const list = find("#list");
const space = list.querySelector(".space");
const rows = list.querySelector(".rows");
const newer = find("#newer");
const heights = new Heights(ROW);
const elements = new Map(); // the rows' by the lines' serial numbers
const lineOf = new WeakMap();

let following = true;
let resumes = false; // whether it follows again when the chosen line is let go
let heldAt = 0; // the serial number of the last line when following ended
let chosen = null;
let wraps = false;
let due = false;
let lastTop = 0;
let stale = false; // whether rows must be made anew
let drawn = []; // {line, top} of the rows
let onChoice = () => {}; // (line, opens)

export const chosenLine = () => chosen;
export const isFollowing = () => following;
export function onChosen(call) { onChoice = call; }

// Draws in the next frame, however often it is called.
export function draw() {
  if (due) return;
  due = true;
  requestAnimationFrame(() => { due = false; drawNow(); });
}

// After a change of what is shown: the chosen line stays in sight, with `centre` in the middle; or else the first visible one.
// With `anew` false, the rows of lines that are still shown stay as they are.
export function renew({ centre = false, anew = true } = {}) {
  const anchor = following ? null : anchored(centre);
  heights.forget();
  stale ||= anew;
  measure();
  if (anchor) {
    const index = lines.indexOf(anchor.serial);
    list.scrollTop = heights.top(index) - anchor.offset;
    if (anchor.serial === chosen?.i) reveal(index);
  }
  draw();
}

function anchored(centre) {
  const top = list.scrollTop;
  if (chosen !== null && lines.isShown(chosen)) {
    const offset = (drawn.find(({ line }) => line.i === chosen.i)?.top ?? -1) - top;
    const isInSight = !centre && offset >= 0 && offset < list.clientHeight - heights.least;
    return { serial: chosen.i, offset: isInSight ? offset : (list.clientHeight - heights.least) / 2 };
  }
  const first = drawn.find((one) => one.top >= top);
  return first ? { serial: first.line.i, offset: first.top - top } : null;
}

// A search begins where the reader looks.
lines.onSearch({ start: () => (following ? null : anchored(true)?.serial ?? null) });

function measure() {
  if (wraps) heights.columns = Math.max(20, columnsOfText());
  heights.learn(lines.shown(), textOf);
  space.style.height = heights.total() + "px";
}

// The columns are as wide as their longest name, within reason.
let named = 0;
export function setColumns(streams = lines.streams, processes = lines.processes) {
  if (named === streams.size + processes.size) return;
  named = streams.size + processes.size;
  const longest = (names, most) => Math.min(most, Math.max(0, ...[...names.keys()].slice(0, 1_000).map((name) => name.length)));
  list.parentNode.style.setProperty("--stream-width", longest(streams, 24) + "ch");
  list.parentNode.style.setProperty("--name-width", longest(processes, 20) + 5 + "ch");
  list.classList.toggle("several", streams.size > 1);
}

function columnsOfText() {
  const text = rows.querySelector(".text");
  if (!text) return 100;
  const probe = find("#probe");
  return Math.floor(text.clientWidth / (probe.getBoundingClientRect().width / 100));
}

export function drawNow() {
  const shown = lines.shown();
  measure();
  if (following) list.scrollTop = heights.total();
  const top = list.scrollTop;
  // The reader may scroll before the event of this one comes.
  if (following) lastTop = top;
  const bottom = top + list.clientHeight;
  // What is seen of new rows comes first, and the spare ones in the next frame.
  const spare = stale ? 0 : SPARE;
  const first = Math.max(0, heights.at(top) - spare);
  const last = Math.min(shown.length, heights.at(bottom) + 1 + spare);
  drawRows(shown, first, last);
  if (!spare) draw();
  find("#empty").hidden = lines.counts.total > 0 || lines.isLoading();
  drawNoMatch(lines.counts.total > 0 && shown.length === 0 && !lines.isSearching() && !lines.isLoading());
  const isFiltered = scope.current().text !== "" || scope.spanned() !== null;
  find("#match-count").textContent = isFiltered ? `${grouped(lines.found().length)}${lines.isSearching() ? "+" : ""} of ${grouped(lines.kept().length)}` : "";
  drawNewer(shown, bottom);
  const isDrawn = chosen !== null && elements.has(chosen.i);
  if (isDrawn) list.setAttribute("aria-activedescendant", "row-" + chosen.i);
  else list.removeAttribute("aria-activedescendant");
}

// Says what hides all lines.
function drawNoMatch(wanted) {
  find("#no-match").hidden = !wanted;
  if (!wanted) return;
  const terms = scope.current().terms.filter(({ key }) => key === "stream").map(({ source }) => source);
  const names = [...lines.streams.keys()];
  const byStream = terms.length > 0 && !names.some(scope.showsStream);
  find("#no-match h2").textContent = byStream ? "No stream is shown" : "No line matches";
  find("#hidden-lines").textContent = byStream
    ? `${visible(terms.join(" "))} hides ${names.length === 1 ? "the only stream" : `all ${grouped(names.length)} streams`}: ${names.slice(0, 5).map(visible).join(", ")}${names.length > 5 ? ", …" : ""}.`
    : `${counted(lines.kept().length, "line")} did not pass the query or the span of time.`;
  find("#show-streams").hidden = !byStream;
}

function drawRows(shown, first, last) {
  const options = { marker: scope.current().marker, asCustomer: lines.isAsCustomer(), isPale: lines.showsOthers() ? (line) => !scope.current().test(line) : () => false };
  const wanted = new Set();
  for (let index = first; index < last; index += 1) wanted.add(shown[index].i);
  for (const [serial, element] of elements) {
    if (stale || !wanted.has(serial)) { element.remove(); elements.delete(serial); }
  }
  stale = false;
  drawn = [];
  let next = rows.firstChild;
  for (let index = first; index < last; index += 1) {
    const line = shown[index];
    let element = elements.get(line.i);
    if (!element) {
      element = rowOf(line, options);
      elements.set(line.i, element);
      lineOf.set(element, line);
    }
    drawn.push({ line, top: heights.top(index) });
    if (element === next) next = next.nextSibling;
    else rows.insertBefore(element, next);
    element.setAttribute("aria-selected", String(chosen !== null && line.i === chosen.i));
    element.setAttribute("aria-posinset", String(index + 1));
    element.setAttribute("aria-setsize", String(shown.length));
    element.style.height = wraps ? heights.height(index) + "px" : "";
  }
  rows.style.transform = `translateY(${heights.top(first)}px)`;
}

function drawNewer(shown, bottom) {
  const fresh = following ? 0 : shown.length - lines.indexOf(heldAt + 1);
  const isAtEnd = bottom >= heights.total() - heights.least;
  newer.hidden = following || (isAtEnd && fresh === 0);
  newer.textContent = fresh ? `↓ ${counted(fresh, "new line")}` : "↓ latest";
}

export function follow(wanted) {
  if (following && !wanted) heldAt = lines.kept().at(-1)?.i ?? 0;
  following = wanted;
  resumes = false;
  find("#follow").setAttribute("aria-pressed", String(wanted));
  draw();
}

export function wrap(wanted) {
  wraps = wanted;
  list.classList.toggle("wraps", wanted);
  if (!wanted) heights.columns = 0;
  renew();
}

// Chooses a line; `opens` shows its details, `centre` brings it to the middle.
export function choose(line, { opens = false, centre = false } = {}) {
  if (!line) return;
  const resuming = following || resumes;
  if (following) follow(false);
  resumes = resuming;
  chosen = line;
  measure();
  reveal(lines.indexOf(line.i), centre);
  onChoice(line, opens);
  draw();
}

// No line is chosen any more; if one was chosen while the list followed, it follows again.
export function letGo() {
  if (chosen === null) return;
  chosen = null;
  onChoice(null, false);
  if (resumes) follow(true);
  draw();
}

function reveal(index, centre = false) {
  const top = heights.top(index);
  const height = heights.height(index) || heights.least;
  const isAbove = top < list.scrollTop;
  const isBelow = top + height > list.scrollTop + list.clientHeight;
  if (centre && (isAbove || isBelow)) list.scrollTop = top - (list.clientHeight - height) / 2;
  else if (isAbove) list.scrollTop = top;
  else if (isBelow) list.scrollTop = top + height - list.clientHeight;
}

// Where moving begins: at the chosen line, or at the first visible one.
const here = () => (chosen !== null && lines.isShown(chosen) ? lines.indexOf(chosen.i) : null);

export function move(by) {
  lines.finish();
  const shown = lines.shown();
  if (!shown.length) return;
  const from = here() ?? (by > 0 && !following ? heights.at(list.scrollTop) - 1 : shown.length);
  choose(shown[Math.min(shown.length - 1, Math.max(0, from + by))]);
}

// To the next error or violation in this direction, or to the next match if others are shown too; from the other end if there is none, and false if there is none at all.
export function toTrouble(by) {
  lines.finish();
  const shown = lines.shown();
  const isWanted = lines.showsOthers() ? scope.current().test : lines.isTrouble;
  const from = here() ?? (following ? shown.length : heights.at(list.scrollTop) - (by > 0 ? 1 : 0));
  for (let step = 1; step <= shown.length; step += 1) {
    const index = (((from + by * step) % shown.length) + shown.length) % shown.length;
    if (isWanted(shown[index])) { choose(shown[index], { centre: true }); return true; }
  }
  return false;
}

// To the first line at this moment or after it.
export function toTime(moment) {
  lines.finish();
  const shown = lines.shown();
  choose(shown.find((line) => line.at >= moment) ?? shown.at(-1), { centre: true });
}

list.addEventListener("click", (event) => {
  const element = event.target.closest(".row");
  // Who selects text wants to copy it.
  if (element && getSelection().isCollapsed) choose(lineOf.get(element), { opens: true });
});

// Several selected rows are copied as `heroku logs` shows them, without control characters.
list.addEventListener("copy", (event) => {
  const selection = getSelection();
  const selected = [...rows.children].filter((element) => selection.containsNode(element, true));
  if (selected.length < 2) return;
  event.clipboardData.setData("text/plain", selected.map((element) => asShown(lineOf.get(element))).join(""));
  event.preventDefault();
});

list.addEventListener("scroll", () => {
  const top = list.scrollTop;
  // A scroll begins with a pixel; what a zoom rounds is less.
  const isAtEnd = top + list.clientHeight > heights.total() - 1;
  if (following && !isAtEnd && top < lastTop) follow(false);
  else if (!following && isAtEnd && top > lastTop && chosen === null) follow(true);
  lastTop = top;
  draw();
}, { passive: true });

list.addEventListener("keydown", (event) => {
  const page = Math.max(1, Math.floor(list.clientHeight / heights.least) - 1);
  const most = lines.shown().length;
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -most, End: most };
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in steps) { event.preventDefault(); move(steps[event.key]); }
  else if (event.key === "Enter" && chosen) { event.preventDefault(); onChoice(chosen, true); }
});
newer.addEventListener("click", () => follow(true));
const narrow = matchMedia("(max-width: 800px)");
function adapt() { heights.head = narrow.matches ? HEAD : 0; renew(); }
narrow.addEventListener("change", adapt);
adapt();
new ResizeObserver(() => { if (wraps) renew(); else draw(); }).observe(list);
