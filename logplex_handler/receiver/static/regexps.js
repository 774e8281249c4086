// The regular expressions of a query, without those that may take for ever. Python has the same in `_regexp.py`.

const TOKEN = /\[\^?(?:\\[^]|[^\]\\])*\]?|\(\??|(?:[*+?]|\{(?=[0-9,])[0-9]*(?:,[0-9]*)?\})[?+]?|\\[^]|[^]/g;
const FEW = 4;
const LONGEST = 30_000; // characters of a line that are searched
const MOST_VARYING = 16; // repeats and groups with |, which may read a text in 2^n ways
const MAX_STEPS = 5_000_000; // of a search at once
const LONG = 20; // milliseconds of a search after which no longer part of the line is searched

// Returns a test of a text, or throws an error that says why there is none.
export function searcher(source) {
  const varying = varyingIn(source);
  if (varying > MOST_VARYING) {
    const why = varying < Infinity ? `it has more than ${MOST_VARYING} repeats and groups with |` : "a repeat, or a |, stands in what another repeat repeats";
    throw new Error(`the regular expression /${source}/ may take for ever: ${why}`);
  }
  // What may stand before a match does not matter, and looking for it costs the square of a line's length.
  const regexp = new RegExp(source.replace(/^(?:\.\*\??)+(?![*+?{])/, ""), "i");
  let first = LONGEST;
  while (waysToRead(first, varying) > MAX_STEPS) first = Math.floor(first * 2 / 3);
  return (text) => {
    const most = Math.min(text.length, LONGEST);
    for (let end = first; end < most; end = Math.floor(end * 3 / 2)) {
      const began = performance.now();
      const found = regexp.test(text.slice(0, end));
      if (performance.now() - began > LONG) return found;
    }
    return regexp.test(text.length > most ? text.slice(0, most) : text);
  };
}

function waysToRead(characters, varying) {
  let ways = characters;
  for (let i = 1; i <= varying; i++) ways *= (characters + i) / (i + 1);
  return ways;
}

// The number of repeats and groups with |, or Infinity if a repeat repeats what varies, so that a text may be read in 2^n ways. A group is 0 if nothing in it varies, 1 if something does, 2 if a few of such are repeated.
function varyingIn(source) {
  const groups = [0];
  const before = [0]; // the numbers where the groups begin
  let last = 0;
  let inside = 0; // the number in what a repeat would repeat
  let number = 0;
  for (const [token] of source.matchAll(TOKEN)) {
    const top = groups.length - 1;
    const bounds = boundsOf(token);
    if (token[0] === "(") { groups.push(0); before.push(number); }
    else if (token === ")" && top) { last = groups.pop(); inside = number - before.pop(); groups[top - 1] = Math.max(groups[top - 1], last); }
    else if (token === "|") { number += groups[top] ? 0 : 1; groups[top] = Math.max(groups[top], 1); }
    else if (bounds) {
      const [least, most] = bounds;
      if (most > 1 && last > (most <= FEW ? 1 : 0)) return Infinity;
      if (last && most > 1) number += (most - 1) * inside;
      last = most > 1 && last ? 2 : Math.max(last, least === most ? 0 : 1);
      groups[top] = Math.max(groups[top], last);
      number += least === most ? 0 : 1;
    } else last = 0;
  }
  return number;
}

function boundsOf(token) {
  const given = /^\{([0-9]*)(?:(,)([0-9]*))?\}/.exec(token);
  if (given) return [Number(given[1]), given[2] ? Number(given[3] || Infinity) : Number(given[1])];
  return { "*": [0, Infinity], "+": [1, Infinity], "?": [0, 1] }[token[0]] ?? null;
}

// A test whether a text as a whole is this pattern, in which `*` is any text: without a regular expression, which may take a power of its length.
export function glob(pattern) {
  const [start, ...parts] = pattern.split("*");
  const end = parts.pop();
  const least = start.length + end.length;
  return (text) => {
    if (text.length < least || !text.startsWith(start) || !text.endsWith(end)) return false;
    let at = start.length;
    for (const part of parts) {
      const found = text.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
    return at <= text.length - end.length;
  };
}
