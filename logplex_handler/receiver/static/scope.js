// What is looked at: the query and a span of time. Lines and plots obey it; controls, clicks and the address change it.

import { parse, quote, withTerm } from "./query.js";

let query = parse("");
let span = null;
const listeners = [];

export const current = () => query;
// `from` included and `to` not, in milliseconds since 1970; or null for all time.
export const spanned = () => span;
export const showsStream = (stream) => query.allows("stream", stream);

// `call(opens, typed)` is called after each change; `opens` is true if the lines are to be opened, `typed` if the reader is writing the query.
export const onChange = (call) => listeners.push(call);

// Changes the query, the span or both. With `opens`, the lines are shown, as after a click in a plot.
export function change({ text = query.text, within = span, opens = false, typed = false }) {
  if (text !== query.text) query = parse(text);
  span = within;
  for (const call of listeners) call(opens, typed);
}

const isKey = (key) => /^[^ \t"=<>/:@-][^ \t"=<>/:@]*$/.test(key);

// The term for lines that have a pair with this key; where a query cannot name the key, its text is sought.
export const keyTerm = (key) => (isKey(key) ? `${key}=*` : quote(`${key}=`));

// The term for a pair; where a query cannot name the key, the text of both is sought.
export function pairTerm(key, value, excludes = false) {
  const term = isKey(key) ? `${key}=${quote(value)}` : quote(`${key}=${value}`);
  return (excludes ? "-" : "") + term;
}

// Adds the pair to the query, in place of its opposite.
export function ask(key, value, excludes) {
  const term = pairTerm(key, value, excludes);
  const opposite = pairTerm(key, value, !excludes);
  change({ text: withTerm(query.text, term, (one) => one.source === opposite) });
}

// Puts one term in the place of all terms on a key; an empty one only removes them.
export const replace = (key, term) => change({ text: withTerm(query.text, term, (one) => one.key === key) });
