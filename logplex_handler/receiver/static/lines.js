// The lines that the page keeps, those that match the query, and of these the ones in the span of time.

import { assign, hueOf } from "./colours.js";
import { forgetResults } from "./query.js";
import * as scope from "./scope.js";
import { Search } from "./search.js";

const KEPT = 200_000;
// Milliseconds of a search until the page may be drawn: at first, and later.
const FIRST_SLICE = 4;
const SLICE = 4;
const SCREENFUL = 200; // lines; until so many are found, all that are found are shown at once

// All lines have the same fields, which makes the query fast.
class Line {
  constructor(item, run, serial) {
    this.n = item.n; // the receiver's number, which begins anew with each run
    this.run = run;
    this.i = serial; // unique on this page
    this.at = momentOf(item.t);
    this.t = item.t;
    this.s = item.s;
    this.a = item.a;
    this.p = item.p;
    this.v = item.v;
    this.x = item.x;
    this.l = item.x.toLowerCase();
    this.w = item.w ?? 0;
    this.h = item.h ?? 0;
    this.k = item.k ?? 0;
    this.m = item.m;
    this.y = undefined; // the packets of a long line, once they are known
  }
}

// A time in milliseconds since 1970, or NaN if it cannot be read. Most lines are of the same minute as the one before.
let minute = { text: "", start: NaN };
function momentOf(text) {
  if (text.length === 32 && text.endsWith("+00:00")) {
    if (!text.startsWith(minute.text) || !minute.text) minute = { text: text.slice(0, 17), start: Date.parse(text.slice(0, 17) + "00Z") };
    const seconds = Number(text.slice(17, 26));
    if (seconds >= 0 && seconds < 60) return minute.start + Math.floor(seconds * 1_000);
  }
  return Date.parse(text);
}

let all = [];
let matching = []; // pass the query
let inSpan = matching; // of these, those in the span; the same array if there is no span
let spanned = all; // all in the span; the same array as `all` if there is no span
let previewed = []; // the last lines, shown until all before them have come
let preview = null; // of these, those that pass
let search = null; // goes on later
let partial = null; // what it has found of the lines in the span
let serial = 0;
export const counts = { total: 0, violations: 0, bySender: 0, letGo: 0 };
export const streams = new Map(); // by name: how many lines
export const processes = new Map();

// As `heroku logs` shows a customer's lines: packet by packet, without those that nobody sees.
let asCustomer = false;
export const isAsCustomer = () => asCustomer;

// The lines that do not match are shown too, pale, so that one sees what is around those that do.
let withOthers = false;
export const showsOthers = () => withOthers && !asCustomer && scope.current().terms.length > 0;
export function showOthers(wanted) { withOthers = wanted; if (preview) filterPreview(); }

// Called with a long line whose packets are not known; what sets its `y` calls `refilter` afterwards.
let onLong = () => {};
export function onLongLine(call) { onLong = call; }

export const kept = () => all;
export const matches = () => matching;
export const found = () => (preview?.length ? preview : partial ?? inSpan);
export const shown = () => (showsOthers() && !preview?.length ? spanned : found());
export const isLoading = () => preview !== null;

// Whether the lines that match are not all known yet. `onSearch`: where a search begins, as a serial number or null for the end, and what is called when one that took longer has found more, and has ended.
export const isSearching = () => search !== null;
const calls = { start: () => null, more: () => {}, end: () => {} };
export function onSearch(given) { Object.assign(calls, given); }

const within = (line, span) => span === null || (line.at >= span.from && line.at < span.to);

// Takes new lines of a run of the receiver; returns whether older ones were let go.
export function add(items, run) {
  const { test } = scope.current();
  const span = scope.spanned();
  for (const item of items) {
    serial += 1;
    const line = new Line(item, run, serial);
    keep(line);
    if (spanned !== all && within(line, span)) spanned.push(line);
    // A search will come to it.
    if (search === null && test(line)) put(line, span);
  }
  if (all.length <= KEPT) return false;
  const surplus = all.length - KEPT * 3 / 4;
  counts.letGo += surplus;
  all = all.slice(surplus);
  refilter();
  return true;
}

function keep(line) {
  counts.total += 1;
  counts.violations += line.w;
  for (const [kind, name, value] of line.m ?? []) if (kind === "count" && name === "logplex_handler.dropped") counts.bySender += value;
  // The order in which names came, not in which they are drawn, decides on their colours, so that a reload keeps them.
  if (!streams.has(line.s)) hueOf("stream", line.s);
  if (!processes.has(line.p)) hueOf("process", line.p);
  streams.set(line.s, (streams.get(line.s) ?? 0) + 1);
  processes.set(line.p, (processes.get(line.p) ?? 0) + 1);
  all.push(line);
}

function put(line, span) {
  for (const one of asCustomer ? packetsOf(line) : [line]) {
    matching.push(one);
    if (inSpan !== matching && within(one, span)) inSpan.push(one);
  }
}

// The packets of a line as lines; they have the line's number, and numbers between it and the next.
function packetsOf(line) {
  if (line.h) return [];
  if (!line.y) { if (line.k) onLong(line); return [line]; }
  return line.y.map((text, index) => ({ ...line, x: text, l: text.toLowerCase(), i: line.i + index / line.y.length }));
}

// Looks for the lines that match. If that takes long, only those near the visible ones are known when this returns.
export function refilter() {
  if (preview) filterPreview();
  const { test, terms } = scope.current();
  const span = scope.spanned();
  spanned = span === null ? all : all.filter((line) => within(line, span));
  const start = calls.start();
  forgetResults(all[0]?.i ?? serial + 1);
  if (!terms.length && !asCustomer) { take(all.slice()); return; }
  search = new Search(all, (line, found) => {
    if (!test(line)) return;
    if (asCustomer) found.push(...packetsOf(line)); else found.push(line);
  }, start === null ? all.length : firstFrom(all, start));
  if (search.goOn(FIRST_SLICE)) take();
  else { takePart(); turn.port2.postMessage(rounds += 1); }
}

// A message comes as soon as what is to be drawn is drawn; timers wait longer.
const turn = new MessageChannel();
let rounds = 0; // searches that took longer than their first slice
turn.port1.onmessage = ({ data }) => {
  if (search === null || data !== rounds) return;
  const { count } = search;
  if (search.goOn(SLICE)) { take(); calls.end(); return; }
  if (search.count > count && partial.length < SCREENFUL) { takePart(); calls.more(); }
  turn.port2.postMessage(data);
};

function takePart() {
  const span = scope.spanned();
  const found = search.found();
  partial = span === null ? found : found.filter((line) => within(line, span));
}

function take(found = search.found()) {
  const span = scope.spanned();
  matching = found;
  inSpan = span === null ? matching : matching.filter((line) => within(line, span));
  search = null;
  partial = null;
}

// Ends a search now, for those who need all lines.
export function finish() {
  if (search === null) return;
  search.goOn(Infinity);
  take();
  calls.end();
}

// Shows these lines, with small numbers of their own, until `endPreview`.
export function startPreview(items, run) {
  previewed = items.map((item, index) => new Line(item, run, index - items.length));
  filterPreview();
}

export function endPreview() {
  previewed = [];
  preview = null;
  assign("stream", streams.keys());
  assign("process", processes.keys());
}

function filterPreview() {
  const { test } = scope.current();
  const span = scope.spanned();
  preview = previewed.filter((line) => (showsOthers() || test(line)) && within(line, span));
}

export function viewAsCustomer(wanted) { asCustomer = wanted; refilter(); }

// Forgets all lines; the function that it returns brings them back, before those that came since.
export function setAside() {
  const before = all;
  const letGo = counts.letGo;
  forget();
  return () => {
    const since = all;
    forget();
    counts.letGo = letGo;
    for (const line of [...before, ...since]) keep(line);
    refilter();
  };
}

function forget() {
  all = [];
  for (const name of Object.keys(counts)) counts[name] = 0;
  streams.clear();
  processes.clear();
  refilter();
}

// The index of the line with this serial number, or of the next one after it.
export const indexOf = (serialNumber) => firstFrom(shown(), serialNumber);

function firstFrom(found, serialNumber) {
  let low = 0;
  for (let high = found.length; low < high;) {
    const middle = (low + high) >> 1;
    if (found[middle].i < serialNumber) low = middle + 1; else high = middle;
  }
  return low;
}

export const isShown = (line) => shown()[indexOf(line.i)]?.i === line.i;
// Errors and lines with violations are what one jumps to.
export const isTrouble = (line) => line.v <= 3 || line.w > 0;
