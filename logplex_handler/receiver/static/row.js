// One line as an element of the list. Nothing of a line is ever parsed as HTML.

import { timeOf } from "./clock.js";
import { colour } from "./colours.js";
import { counted, make, visible } from "./dom.js";

const LONGEST = 1_500; // characters of a row; the details show all
const MARKS = 40; // in a row

export const textOf = (line) => (line.x.length > LONGEST ? line.x.slice(0, LONGEST) + "…" : line.x);
export const process = (line) => `${line.a ?? "app"}[${line.p}]`;

// The prefix of `heroku logs`.
export const customersPrefix = (line) => `${line.t} ${process(line)}:`;

export function rowOf(line, { marker, asCustomer }) {
  const text = make("span", { class: "text" });
  mark(text, visible(textOf(line)), marker);
  const element = make("div", {
    class: "row" + (line.v <= 3 ? " error" : line.v === 4 ? " warning" : line.v === 7 ? " debug" : "")
      + (line.w ? " bad" : "") + (line.h ? " unseen" : "") + (asCustomer ? " customer" : ""),
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
  element.append(make("span", { class: "time", textContent: timeOf(line), title: visible(line.t) }), stream, name, text);
  const notes = [line.h ? "customers do not see this" : "", line.k ? `${line.k} packets` : "", line.w ? "⚠ " + counted(line.w, "violation") : ""];
  const note = notes.filter(Boolean).join(" · ");
  if (note) element.append(make("span", { class: "note", textContent: note }));
  return element;
}

function mark(element, text, marker) {
  if (!marker) { element.textContent = text; return; }
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(marker)) {
    if (parts.length >= 2 * MARKS) break;
    if (!found[0]) continue;
    parts.push(text.slice(from, found.index), make("mark", { textContent: found[0] }));
    from = found.index + found[0].length;
  }
  element.replaceChildren(...parts, text.slice(from));
}
