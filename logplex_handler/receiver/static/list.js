// The list: draws the visible rows only, so that a hundred thousand lines cost as little as forty. A row
// keeps its element while it is visible, and with it the focus and what is selected in it.

import { counted, find, grouped } from "./dom.js";
import { Heights } from "./heights.js";
import * as lines from "./lines.js";
import { rowOf, textOf } from "./row.js";
import { asText } from "./saving.js";
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
export function renew({ centre = false } = {}) {
  const anchor = following ? null : anchored(centre);
  heights.forget();
  stale = true;
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

function measure() {
  if (wraps) heights.columns = Math.max(20, columnsOfText());
  heights.learn(lines.shown(), textOf);
  space.style.height = heights.total() + "px";
}

// The columns are as wide as their longest name, within reason.
let named = 0;
export function setColumns() {
  const { streams, processes } = lines;
  if (named === streams.size + processes.size) return;
  named = streams.size + processes.size;
  const longest = (names, most) => Math.min(most, Math.max(0, ...[...names].slice(0, 1_000).map((name) => name.length)));
  list.style.setProperty("--stream-width", longest(streams.keys(), 24) + "ch");
  list.style.setProperty("--name-width", longest(processes.keys(), 20) + 5 + "ch");
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
  const first = Math.max(0, heights.at(top) - SPARE);
  const last = Math.min(shown.length, heights.at(top + list.clientHeight) + 1 + SPARE);
  drawRows(shown, first, last);
  find("#empty").hidden = lines.counts.total > 0 || shown.length > 0;
  find("#no-match").hidden = lines.counts.total === 0 || shown.length > 0;
  find("#hidden-lines").textContent = counted(lines.kept().length, "line");
  const isFiltered = scope.current().text !== "" || scope.spanned() !== null;
  find("#match-count").textContent = isFiltered ? `${grouped(shown.length)} of ${grouped(lines.kept().length)}` : "";
  drawNewer(shown);
  const isDrawn = chosen !== null && elements.has(chosen.i);
  if (isDrawn) list.setAttribute("aria-activedescendant", "row-" + chosen.i);
  else list.removeAttribute("aria-activedescendant");
}

function drawRows(shown, first, last) {
  const options = { marker: scope.current().marker, asCustomer: lines.isAsCustomer() };
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

function drawNewer(shown) {
  const fresh = following ? 0 : shown.length - lines.indexOf(heldAt + 1);
  const isAtEnd = list.scrollTop + list.clientHeight >= heights.total() - heights.least;
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

export function reveal(index, centre = false) {
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

function move(by) {
  const shown = lines.shown();
  if (!shown.length) return;
  const from = here() ?? (by > 0 && !following ? heights.at(list.scrollTop) - 1 : shown.length);
  choose(shown[Math.min(shown.length - 1, Math.max(0, from + by))]);
}

// To the next error or violation in this direction, and from the other end if there is none; false if there is none at all.
export function toTrouble(by) {
  const shown = lines.shown();
  const from = here() ?? (following ? shown.length : heights.at(list.scrollTop) - (by > 0 ? 1 : 0));
  for (let step = 1; step <= shown.length; step += 1) {
    const index = (((from + by * step) % shown.length) + shown.length) % shown.length;
    if (lines.isTrouble(shown[index])) { choose(shown[index], { centre: true }); return true; }
  }
  return false;
}

// To the first line at this moment or after it.
export function toTime(moment) {
  const shown = lines.shown();
  choose(shown.find((line) => line.at >= moment) ?? shown.at(-1), { centre: true });
}

list.addEventListener("click", (event) => {
  const element = event.target.closest(".row");
  // Who selects text wants to copy it.
  if (element && getSelection().isCollapsed) choose(lineOf.get(element), { opens: true });
});

// Several selected rows are copied as `heroku logs` shows them.
list.addEventListener("copy", (event) => {
  const selection = getSelection();
  const selected = [...rows.children].filter((element) => selection.containsNode(element, true));
  if (selected.length < 2) return;
  event.clipboardData.setData("text/plain", selected.map((element) => asText(lineOf.get(element))).join(""));
  event.preventDefault();
});

list.addEventListener("scroll", () => {
  const top = list.scrollTop;
  const isAtEnd = top + list.clientHeight >= heights.total() - 2;
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
