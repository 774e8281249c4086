// Pairs that stand in columns of their own, between the process and the text.

import { find, make, visible } from "./dom.js";
import { pairsOf } from "./query.js";

const MOST = 8;
const WIDEST = 32; // characters

const heads = find("#heads");
const list = find("#list");
let keys = [];
let widths = []; // in characters; they grow with what is shown
let changed = () => {};

export const chosen = () => keys;
// `call` is called when the reader has chosen or removed a column.
export function onChange(call) { changed = call; }

export function choose(wanted) {
  keys = [...new Set(wanted)].slice(0, MOST);
  widths = keys.map(() => 0);
  keys.forEach((key, index) => widen(index, visible(key).length + 2));
  heads.replaceChildren(make("span", { class: "lead" }), ...keys.map(head));
  heads.hidden = !keys.length;
}

export function toggle(key) {
  choose(keys.includes(key) ? keys.filter((one) => one !== key) : [...keys, key]);
  changed();
}

function head(key, index) {
  const button = make("button", { type: "button", textContent: `${visible(key)} ✕`, title: `Remove the column ${visible(key)}` });
  button.setAttribute("aria-label", button.title);
  button.addEventListener("click", () => toggle(key));
  return sized(make("span", { class: "pair" }, button), index);
}

function sized(element, index) {
  element.style.width = `var(--column-${index})`;
  return element;
}

function widen(index, characters) {
  if (characters <= widths[index]) return;
  widths[index] = Math.min(WIDEST, characters);
  list.parentNode.style.setProperty(`--column-${index}`, widths[index] + "ch");
}

// The cells of a line; a key that it does not have leaves its cell empty.
export function cells(line) {
  if (!keys.length) return [];
  const found = new Map();
  for (const [key, value] of pairsOf(line.x)) if (!found.has(key)) found.set(key, value);
  return keys.map((key, index) => {
    const value = visible(found.get(key) ?? "").slice(0, 500);
    widen(index, value.length);
    return sized(make("span", { class: "pair", textContent: value, title: value && `${visible(key)}=${value}` }), index);
  });
}
