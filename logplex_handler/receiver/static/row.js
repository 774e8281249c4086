// One line as an element of the list. Nothing of a line is ever parsed as HTML.

import { timeOf } from "./clock.js";
import { colour } from "./colours.js";
import { cells, chosen } from "./columns.js";
import { counted, make, visible } from "./dom.js";
import { placesOf } from "./query.js";

const LONGEST = 1_500; // characters of a row; the details show all
const MARKS = 40; // in a row
const COMMON = ["source", "level", "logger"]; // Their pairs begin most lines.

let isBrief = false;
let brief = new WeakMap(); // The brief texts of lines, without those keys.
let keys = [];

// Whether rows are without the common pairs, and without those that stand in columns.
export function shorten(wanted) { isBrief = wanted; }

export function textOf(line) {
  const text = isBrief ? briefOf(line) : line.x;
  return text.length > LONGEST ? text.slice(0, LONGEST) + "…" : text;
}

function briefOf(line) {
  if (keys !== chosen()) { keys = chosen(); brief = new WeakMap(); }
  if (!brief.has(line)) brief.set(line, without([...COMMON, ...keys], line.x));
  return brief.get(line);
}

// The text without the pairs with these keys, unless nothing is left then.
function without(keys, text) {
  const parts = [];
  let at = 0;
  for (const { key, from, end } of placesOf(text.slice(0, 2 * LONGEST))) {
    if (!keys.includes(key)) continue;
    parts.push(text.slice(at, from));
    at = text[end] === " " ? end + 1 : end;
  }
  return (parts.join("") + text.slice(at)).trimEnd() || text;
}

export const process = (line) => `${line.a ?? "app"}[${line.p}]`;

// The prefix of `heroku logs`.
export const customersPrefix = (line) => `${line.t} ${process(line)}:`;

export function rowOf(line, { marker, asCustomer, isPale }) {
  const text = make("span", { class: "text" });
  const shown = visible(textOf(line));
  const isOther = isPale(line);
  write(text, shown, isOther ? null : marker, asCustomer ? 0 : commonEnd(shown));
  const element = make("div", {
    class: "row" + (line.v <= 3 ? " error" : line.v === 4 ? " warning" : line.v === 7 ? " debug" : "")
      + (line.w ? " bad" : "") + (line.h ? " unseen" : "") + (isOther ? " other" : "") + (asCustomer ? " customer" : ""),
    role: "option", id: "row-" + line.i,
  });
  if (asCustomer) {
    const prefix = make("span", { class: "name", textContent: visible(customersPrefix(line)) });
    colour(prefix, "process", line.p);
    element.append(prefix, text);
    return element;
  }
  const stream = make("span", { class: "stream", textContent: visible(line.s) });
  const name = make("span", { class: "name", textContent: visible(process(line)) });
  colour(stream, "stream", line.s);
  colour(name, "process", line.p);
  element.append(make("span", { class: "time", textContent: timeOf(line), title: visible(line.t) }), stream, name, ...cells(line), text);
  const notes = [line.h ? "customers do not see this" : "", line.k ? `${line.k} packets` : "", line.w ? "⚠ " + counted(line.w, "violation") : ""];
  const note = notes.filter(Boolean).join(" · ");
  if (note) element.append(make("span", { class: "note", textContent: note }));
  return element;
}

// Marks what was asked for; the pairs that begin most lines are pale, and the message stands out.
function write(element, text, marker, pale) {
  const parts = [];
  const put = (from, end) => {
    if (from < pale) parts.push(make("span", { class: "pale", textContent: text.slice(from, Math.min(end, pale)) }));
    if (end > Math.max(from, pale)) parts.push(text.slice(Math.max(from, pale), end));
  };
  let from = 0;
  let marks = 0;
  for (const found of marker ? text.matchAll(marker) : []) {
    if (!found[0]) continue;
    put(from, found.index);
    parts.push(make("mark", { textContent: found[0] }));
    from = found.index + found[0].length;
    if ((marks += 1) === MARKS) break;
  }
  put(from, text.length);
  element.append(...parts);
}

// Where the common pairs end with which a text begins.
function commonEnd(text) {
  let last = 0;
  for (const { key, from, end } of placesOf(text)) {
    if (!COMMON.includes(key) || from > last + 1) break;
    last = end;
  }
  return last;
}
