// What is looked at: the query and a span of time. Lines and metrics obey it, and controls change it.

import { parse } from "./query.js";

let query = parse("");
let span = null;
const listeners = [];

export const current = () => query;
// `from` included and `to` not, in milliseconds since 1970; or null for all time.
export const spanned = () => span;
export const showsStream = (stream) => query.allows("stream", stream);
export const showsTime = (moment) => span === null || (moment >= span.from && moment < span.to);

// `call(opens)` is called after each change; `opens` is true if the lines are to be opened.
export const onChange = (call) => listeners.push(call);

// Changes the query, the span or both. With `opens`, the lines are shown, as after a click in a plot.
export function change({ text = query.text, within = span, opens = false }) {
  if (text !== query.text) query = parse(text);
  span = within;
  for (const call of listeners) call(opens);
}
