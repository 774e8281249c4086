// The values of a key among the lines that the list shows: the most frequent ones, and what numbers are in all.

import { counted, exact, grouped, make, visible } from "./dom.js";
import * as lines from "./lines.js";
import { numberOf, valueOf } from "./query.js";

const MOST = 8;

// `ask(value)` is called for a value that is clicked.
export function valuesOf(key, ask) {
  lines.finish();
  const counts = new Map();
  let lineCount = 0;
  for (const line of lines.shown()) {
    const value = valueOf(line, key);
    if (value === null) continue;
    counts.set(value, (counts.get(value) ?? 0) + 1);
    lineCount += 1;
  }
  const sorted = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const parts = [`${counted(counts.size, "value")} in ${grouped(lineCount)} of ${counted(lines.shown().length, "line")}`, ...numbers(counts, lineCount)];
  return make("div", { class: "values" },
    make("p", { textContent: parts.join(" · ") }),
    make("ol", {}, ...sorted.slice(0, MOST).map(([value, count]) => {
      const button = make("button", { type: "button", textContent: visible(value) || "(empty)", title: visible(`Only lines with ${key}=${value}`) });
      button.addEventListener("click", () => ask(value));
      const share = make("span", { class: "share", textContent: `${grouped(count)} · ${Math.round(count / lineCount * 100)} %` });
      const item = make("li", {}, button, share);
      item.style.setProperty("--share", `${count / lineCount * 100}%`);
      return item;
    })),
    ...(sorted.length > MOST ? [make("p", { textContent: `and ${counted(sorted.length - MOST, "value")} more` })] : []));
}

// Of values that are all numbers with the same unit.
function numbers(counts, lineCount) {
  const found = [];
  let unit = null;
  for (const [value, count] of counts) {
    const number = numberOf(value);
    if (!number || (unit ??= number.unit) !== number.unit) return [];
    found.push([number.value, count]);
  }
  if (found.length < 2) return [];
  found.sort((a, b) => a[0] - b[0]);
  const at = (share) => {
    let left = Math.ceil(share * lineCount);
    return found.find(([, count]) => (left -= count) <= 0)[0];
  };
  return [["least", found[0][0]], ["median", at(.5)], ["p99", at(.99)], ["largest", found.at(-1)[0]]]
    .map(([name, value]) => `${name} ${exact(value)}${unit && ` ${visible(unit)}`}`);
}
