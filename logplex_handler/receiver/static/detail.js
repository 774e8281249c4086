// Everything about the chosen line, beside the list.

import * as address from "./address.js";
import { colour } from "./colours.js";
import * as columns from "./columns.js";
import { counted, find, make, visible, violationCard } from "./dom.js";
import { icon } from "./icons.js";
import * as lines from "./lines.js";
import { pairsOf } from "./query.js";
import { process } from "./row.js";
import { asShown, asText, copy } from "./saving.js";
import * as scope from "./scope.js";
import { valuesOf } from "./values.js";

const detail = find("#detail");
let shown = null; // the line
let onClose = () => {};

export const isOpen = () => !detail.hidden;
export function onClosed(call) { onClose = call; }
let onPlot = () => {};
export function onPlotWanted(call) { onPlot = call; }

export function close() {
  shown = null;
  detail.hidden = true;
}

// What the receiver knows of a line: {known} or {missing: why it is not known}.
async function ask(line, run) {
  if (line.run !== run) return { missing: "It is of an earlier run of the receiver, which alone knew its packet and violations." };
  try {
    const answer = await fetch("/api/lines/" + line.n);
    if (answer.ok) return { known: await answer.json() };
    return { missing: "The receiver no longer keeps this line; the page does." };
  } catch {
    return { missing: "The receiver does not answer, so the packet and the violations are not known." };
  }
}

export async function show(line, run) {
  shown = line;
  const { known, missing } = await ask(line, run);
  if (shown !== line) return;
  const pairs = known?.pairs.length ? known.pairs : [...pairsOf(line.x)];
  const parts = [heading(line)];
  if (missing) parts.push(make("p", { class: "missing", textContent: missing }));
  if (known) parts.push(...known.violations.map(violationCard));
  if (line.h) parts.push(make("p", { textContent: "Customers do not see this line." }));
  if (pairs.length) parts.push(make("h3", { textContent: "Pairs" }), table(pairs, true));
  parts.push(make("h3", { textContent: "Text" }), raw(known?.text ?? line.x));
  if (known?.parts.length) parts.push(make("h3", { textContent: `Sent in ${counted(known.parts.length, "packet")}` }), ...known.parts.map(raw));
  const packet = { stream: line.s, ...(known?.packet ?? { time: line.t, procid: line.p }) };
  parts.push(make("h3", { textContent: "Packet" }), table(Object.entries(packet).map(([key, value]) => [key, String(value ?? "none")]), false));
  detail.replaceChildren(...parts);
  detail.hidden = false;
  detail.scrollTop = 0;
}

function heading(line) {
  const name = make("h2", { textContent: visible(process(line)) });
  colour(name, "process", line.p);
  const stream = make("span", { class: "stream", textContent: visible(line.s) });
  colour(stream, "stream", line.s);
  stream.hidden = lines.streams.size < 2;
  const copyLine = button("Copy line", "As `heroku logs` shows it (y)", (self) => copy(asShown(line), self));
  const copyRaw = button("Copy raw", "With its control characters, which a terminal may obey", (self) => copy(asText(line), self));
  copyRaw.hidden = visible(line.x) === line.x;
  const copyLink = button("Copy link", "The address of this line", (self) => copy(address.current(), self));
  const context = button("Show around it", "Without the query, with the lines before and after it", () => scope.change({ text: "", within: null }));
  context.hidden = scope.current().text === "" && scope.spanned() === null;
  const shut = make("button", { type: "button", class: "quiet", textContent: "✕", title: "Close (Esc)", "aria-label": "Close" });
  shut.addEventListener("click", () => onClose());
  return make("header", {},
    make("div", { class: "title" }, stream, name, make("span", { class: "kind", textContent: visible(line.t) }), make("p", { class: "grow" }), shut),
    make("div", { class: "actions" }, copyLine, copyRaw, copyLink, ...(line.m ? [button("Show in plots", "Where its metrics are in their plots", () => onPlot(line))] : []), context));
}

function button(text, title, call) {
  const made = make("button", { type: "button", textContent: text, title });
  made.addEventListener("click", () => call(made));
  return made;
}

const raw = (text) => make("pre", { class: "raw", tabIndex: 0, textContent: visible(text) });
const shownValue = (value) => value.split("\n").map(visible).join("\n");

// Of the packet, the query knows the stream and the process.
const QUERIED = { stream: "stream", procid: "process" };

let openKey = null; // whose values are shown below its pair

function table(pairs, asks) {
  return make("table", {}, ...pairs.flatMap(([key, value], index) => {
    const name = make("td");
    const row = make("tr", {}, name, make("td", { textContent: shownValue(value) }));
    // A key that comes again has its first value in the query.
    const counts = asks && pairs.findIndex(([other]) => other === key) === index;
    if (counts) name.append(valuesButton(key, row)); else name.textContent = visible(key);
    const queried = asks ? key : QUERIED[key];
    const cell = make("td", { class: "asks" });
    if (queried) cell.append(...asking(queried, value));
    if (asks) cell.prepend(asColumn(key));
    row.append(cell);
    return counts && key === openKey ? [row, valuesRow(key)] : [row];
  }));
}

function valuesButton(key, row) {
  const made = button(visible(key), "Its values among the lines that are shown", () => {
    const opens = openKey !== key;
    detail.querySelector("tr.opened")?.remove();
    for (const one of detail.querySelectorAll(".key")) one.setAttribute("aria-expanded", String(opens && one === made));
    openKey = opens ? key : null;
    if (opens) row.after(valuesRow(key));
  });
  made.className = "key";
  made.setAttribute("aria-expanded", String(openKey === key));
  return made;
}

const valuesRow = (key) => make("tr", { class: "opened" },
  make("td", { colSpan: 3 }, valuesOf(key, (value) => scope.ask(key, value, false))));

const asking = (key, value) => [
  symbol("+", `Only lines with ${key}=${value}`, () => scope.ask(key, value, false)),
  symbol("−", `No lines with ${key}=${value}`, () => scope.ask(key, value, true)),
  symbol("copy", "Copy the value", (self) => copy(shownValue(value), self)),
];

function asColumn(key) {
  const made = symbol("", `${key} as a column`, () => {
    columns.toggle(key);
    made.setAttribute("aria-pressed", String(columns.chosen().includes(key)));
  });
  made.setAttribute("aria-pressed", String(columns.chosen().includes(key)));
  made.append(icon("column"));
  return made;
}

function symbol(text, label, call) {
  const made = button(text, visible(label), call);
  made.setAttribute("aria-label", visible(label));
  return made;
}
