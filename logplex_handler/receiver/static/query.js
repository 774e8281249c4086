// The query of the box: words, /regexp/, key=value, level>=warning, each excluded by a `-` before it.
// tests/receiver/queries.json has the grammar and its cases, which also hold for `--grep`.

import { glob, searcher } from "./regexps.js";

export const LEVELS = {
  debug: 7, info: 6, notice: 5, warning: 4, warn: 4, error: 3, err: 3, critical: 2, crit: 2, alert: 1, emergency: 0,
};
const FIELDS = {
  stream: (line) => line.s,
  process: (line) => line.p,
  violations: (line) => String(line.w ?? 0),
};
const COMPARE = { ">": (a, b) => a > b, "<": (a, b) => a < b, ">=": (a, b) => a >= b, "<=": (a, b) => a <= b };
const KEY = /([^ \t"=<>/:@]+)(>=|<=|=|>|<)/y;
const NUMBER = /^(-?[0-9]+(?:\.[0-9]+)?)([A-Za-z%]*)$/;
const QUOTED = /"((?:[^"\\]|\\[^]?)*)"?/y;
const TOKEN = /([^ \t"=]+)=(?:("(?:[^"\\]|\\[^]?)*"?)[^ \t]*|([^ \t]*))|"(?:[^"\\]|\\[^]?)*"?[^ \t]*|[^ \t]+/g;

// Where the pairs of a text are, as {key, from, end}; the pair is what `end` ends.
export function* placesOf(text) {
  for (const { 0: token, 1: key, index } of text.matchAll(TOKEN)) if (key !== undefined) yield { key, from: index, end: index + token.length };
}

// The pairs of a text, as [key, value]; none is found inside quotes.
export function* pairsOf(text) {
  for (const [, key, quoted, bare] of text.matchAll(TOKEN)) {
    if (key !== undefined) yield [key, quoted === undefined ? bare : unquoted(quoted)];
  }
}

function unquoted(quoted) {
  const inner = quoted.slice(1, quoted.length > 1 && quoted.endsWith('"') ? -1 : undefined);
  if (!inner.includes("\\")) return inner;
  return inner.replace(/\\(?:u([0-9a-fA-F]{4})|([^]?))/g, (_, code, one) =>
    code ? String.fromCharCode(parseInt(code, 16)) : { n: "\n", r: "\r", t: "\t" }[one] ?? one);
}

// A query: `test(line)` of a line with the lower-case text as `l`, `marker` (finds in a text what was asked for, or null), `error` (a text, or null).
export function parse(text) {
  const terms = [...termsOf(text)];
  const tests = [];
  const usable = [];
  let error = null;
  for (const term of terms) {
    try {
      const test = remembered(term, tester(term));
      tests.push(term.excludes ? (line) => !test(line) : test);
      usable.push(term);
    } catch (problem) {
      error ??= problem.message;
    }
  }
  return {
    text, terms, error,
    test: tests.length === 1 ? tests[0] : (line) => { for (const test of tests) if (!test(line)) return false; return true; },
    marker: markerOf(usable),
    // Whether this value passes the terms on a field, for example on the stream.
    allows: (key, value) => terms.every((term) => term.key !== key || term.sign !== "="
      || matcher(term.values)(value.toLowerCase()) !== term.excludes),
  };
}

// What the last terms found of each line, by their sources: the next query mostly has them too.
const results = new Map();
const MOST_RESULTS = 12;
let firstSerial = 0;

// Lines before this serial number (`i` of a line) are not asked about any more.
export function forgetResults(before) {
  if (before !== firstSerial) results.clear();
  firstSerial = before;
}

function remembered(term, test) {
  // Others take no longer than a look at what is remembered.
  if (term.regexp === undefined && (!term.key || term.key === "level" || Object.hasOwn(FIELDS, term.key))) return test;
  const source = term.excludes ? term.source.slice(1) : term.source;
  const known = results.get(source) ?? { from: NaN, of: null };
  results.delete(source);
  results.set(source, known);
  if (results.size > MOST_RESULTS) results.delete(results.keys().next().value);
  return (line) => {
    if (known.from !== firstSerial) Object.assign(known, { from: firstSerial, of: new Uint8Array(1 << 17) }); // 1: no, 2: yes
    const at = line.i - firstSerial;
    if (!(at >= 0)) return test(line);
    if (at >= known.of.length) grow(known, at);
    return (known.of[at] ||= test(line) ? 2 : 1) === 2;
  };
}

function grow(known, at) {
  const longer = new Uint8Array(2 ** Math.ceil(Math.log2(at + 1)));
  longer.set(known.of);
  known.of = longer;
}

function* termsOf(text) {
  for (let at = 0; at < text.length;) {
    if (text[at] === " " || text[at] === "\t") { at += 1; continue; }
    const start = at;
    const excludes = text[at] === "-" && at + 1 < text.length && !" \t".includes(text[at + 1]);
    if (excludes) at += 1;
    const term = quotedAt(text, at) ?? regexpAt(text, at) ?? pairAt(text, at) ?? wordAt(text, at);
    at = term.end;
    yield { ...term, excludes, source: text.slice(start, at) };
  }
}

const [SPACE, TAB, BACKSLASH, EQUALS, QUOTE] = [32, 9, 92, 61, 34];
const MAY_OPEN = new Set([SPACE, TAB, EQUALS, BACKSLASH]);
const isSpace = (text, at) => { const code = text.charCodeAt(at); return code === SPACE || code === TAB; };
const ends = (text, at) => at >= text.length || isSpace(text, at);
const wordEnd = (text, at) => { while (at < text.length && !isSpace(text, at)) at += 1; return at; };
const wordAt = (text, at) => ({ word: text.slice(at, wordEnd(text, at)), end: wordEnd(text, at) });

function readQuoted(text, at) {
  QUOTED.lastIndex = at;
  const found = QUOTED.exec(text);
  return { value: found[1].replace(/\\(["\\])/g, "$1"), end: QUOTED.lastIndex };
}

function quotedAt(text, at) {
  if (text[at] !== '"') return null;
  const { value, end } = readQuoted(text, at);
  return { word: value, end };
}

function regexpAt(text, at) {
  if (text[at] !== "/") return null;
  const found = /\/((?:[^/\\]|\\[^]?)*)\//y;
  found.lastIndex = at;
  const pattern = found.exec(text)?.[1];
  return pattern && ends(text, found.lastIndex) ? { regexp: pattern, end: found.lastIndex } : null;
}

function pairAt(text, at) {
  KEY.lastIndex = at;
  const found = KEY.exec(text);
  if (!found) return null;
  const [, name, sign] = found;
  const key = name.toLowerCase();
  const from = KEY.lastIndex;
  if (sign !== "=") {
    const end = wordEnd(text, from);
    const bound = text.slice(from, end);
    return key === "level" || NUMBER.test(bound) ? { key, sign, bound, end } : null;
  }
  const values = [];
  let end = from;
  for (;;) {
    if (text[end] === '"') {
      const quoted = readQuoted(text, end);
      values.push({ text: quoted.value.toLowerCase(), exact: true });
      end = quoted.end;
      while (!ends(text, end) && text[end] !== ",") end += 1;
    } else {
      const start = end;
      while (!ends(text, end) && text[end] !== ",") end += 1;
      values.push({ text: text.slice(start, end).toLowerCase(), exact: false });
    }
    if (text[end] !== ",") return { key, sign, values, end };
    end += 1;
  }
}

const low = (line) => line.l;
const escaped = (text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");

// Whether one of the values is the lower-case text as a whole.
function matcher(values) {
  const whole = new Set();
  const globs = [];
  for (const { text, exact } of values) {
    if (exact || !text.includes("*")) whole.add(text);
    else globs.push(glob(text));
  }
  if (!globs.length && whole.size === 1) { const [only] = whole; return (text) => text === only; }
  if (!whole.size && globs.length === 1) return globs[0];
  return (text) => {
    if (whole.size && whole.has(text)) return true;
    for (const passes of globs) if (passes(text)) return true;
    return false;
  };
}

function tester(term) {
  if (term.word !== undefined) {
    const word = term.word.toLowerCase();
    return (line) => low(line).includes(word);
  }
  if (term.regexp !== undefined) {
    const found = searcher(term.regexp);
    return (line) => found(line.x);
  }
  if (term.key === "level") return levelTester(term);
  const matches = valueTester(term);
  const field = Object.hasOwn(FIELDS, term.key) ? FIELDS[term.key] : null;
  if (field) return (line) => matches(field(line).toLowerCase());
  const { key } = term;
  const needle = key + "=";
  const start = term.values?.length === 1 ? beginning(term.values[0]) : "";
  return (line) => hasPair(line, needle, matches, start);
}

const beginning = ({ text, exact }) => (exact ? text : text.split("*")[0]);

function valueTester({ sign, bound, values }) {
  if (sign === "=") return matcher(values);
  const compare = COMPARE[sign];
  const [, number, unit] = NUMBER.exec(bound);
  const isRight = (text) => !unit || NUMBER.exec(text)[2] === unit.toLowerCase();
  // What a number begins with is its value; whether all of it is a number is asked only if that passes.
  return (text) => compare(parseFloat(text), Number(number)) && NUMBER.test(text) && isRight(text);
}

function levelTester({ sign, bound, values }) {
  if (sign === "=") {
    const known = new Set(values.filter(isLevel).map(({ text }) => LEVELS[text]));
    const others = values.filter((value) => !isLevel(value));
    const matches = matcher(others);
    return (line) => known.has(line.v) || (others.length > 0 && hasPair(line, "level=", matches));
  }
  const name = bound.toLowerCase();
  const severity = LEVELS[name];
  if (!Object.hasOwn(LEVELS, name)) throw new Error(`“${bound}” is no level: ${Object.keys(LEVELS).join(", ")}`);
  // The most severe has the smallest number.
  return (line) => COMPARE[sign](severity, line.v);
}

const isLevel = ({ text }) => Object.hasOwn(LEVELS, text);

// Looks where the key stands instead of cutting the text into pairs, because there may be a hundred thousand texts. All values that match have this beginning.
function hasPair(line, needle, matches, beginning = "") {
  const text = low(line);
  for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at + 1)) {
    const start = at + needle.length;
    const isBare = text.charCodeAt(start) !== QUOTE;
    if (isBare && !text.startsWith(beginning, start)) continue;
    if ((at > 0 && !isSpace(text, at - 1)) || isQuoted(text, at)) continue;
    if (isBare) { if (matches(text.slice(start, wordEnd(text, start)))) return true; continue; }
    const value = text.slice(start, closing(text, start) + 1);
    if (!value.includes("\\")) { if (matches(value.slice(1, value.length > 1 && value.endsWith('"') ? -1 : undefined))) return true; continue; }
    // In lower case, an escape could mean something else.
    const exact = text.length === line.x.length ? line.x.slice(start, start + value.length) : value;
    if (matches(unquoted(exact).toLowerCase())) return true;
  }
  return false;
}

// The first value of a key in a line, in lower case, or null.
export function valueOf(line, key) {
  let found = null;
  hasPair(line, key.toLowerCase() + "=", (value) => { found = value; return true; });
  return found;
}

// A text that is a number as {value, unit}, or null.
export function numberOf(text) {
  const [, value, unit] = NUMBER.exec(text) ?? [];
  return value === undefined ? null : { value: Number(value), unit };
}

// Where the quote that opens here is closed, or the end of the text.
function closing(text, open) {
  for (let at = text.indexOf('"', open + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let escapes = 0;
    while (text.charCodeAt(at - 1 - escapes) === BACKSLASH) escapes += 1;
    if (escapes % 2 === 0) return at;
  }
  return text.length;
}

// Whether this place, before which there is a space, is inside quotes, as the tokens of `pairsOf` have them.
function isQuoted(text, place) {
  if (place === 0) return false;
  const last = text.lastIndexOf('"', place - 1);
  // Quotes open only behind a space or `=`. So what follows any other one, unless that is escaped, is outside.
  if (last < 0 || (last > 0 && !MAY_OPEN.has(text.charCodeAt(last - 1)))) return false;
  for (let at = text.indexOf('"'); at >= 0 && at < place;) {
    let token = at;
    while (token > 0 && !isSpace(text, token - 1)) token -= 1;
    const opens = token === at || (text.charCodeAt(at - 1) === EQUALS && at - 1 > token && text.indexOf("=", token) === at - 1);
    const end = opens ? closing(text, at) : at;
    if (end >= place) return opens;
    at = text.indexOf('"', wordEnd(text, end));
  }
  return false;
}

function markerOf(terms) {
  const parts = terms.filter((term) => !term.excludes).map((term) => {
    if (term.word !== undefined) return escaped(term.word);
    if (term.regexp !== undefined) return `(?:${term.regexp})`;
    return Object.hasOwn(FIELDS, term.key) ? "" : `(?<![^ \\t])${escaped(term.key)}=(?:"(?:[^"\\\\]|\\\\.)*"?|[^ \\t]*)`;
  }).filter(Boolean);
  try { return parts.length ? new RegExp(parts.join("|"), "gi") : null; } catch { return null; }
}

// A value as the query writes it.
export const quote = (value) =>
  value !== "" && !/[\s",*\\]/.test(value) ? value : `"${value.replace(/["\\]/g, "\\$&")}"`;

// The query with this term in place of those on the same key that `replaces` names; an empty term only removes them.
export function withTerm(text, term, replaces = () => false) {
  const others = parse(text).terms.filter((one) => !replaces(one)).map((one) => one.source);
  return [...others, ...(term && !others.includes(term) ? [term] : [])].join(" ");
}
