// The packets of long lines, which the receiver is asked for when customers' views need them.

import * as events from "./events.js";
import * as lines from "./lines.js";

const wanted = new Set();
let isAsking = false;
let onKnown = () => {};
export function onPackets(call) { onKnown = call; }

lines.onLongLine((line) => {
  if (line.run !== events.currentRun()) return;
  wanted.add(line);
  ask();
});

async function ask() {
  if (isAsking) return;
  isAsking = true;
  for (const line of wanted) {
    // A line whose packets cannot be had is shown whole.
    const answer = await fetch("/api/lines/" + line.n).catch(() => null);
    line.y = answer?.ok ? (await answer.json()).parts : [line.x];
    wanted.delete(line);
  }
  isAsking = false;
  onKnown();
}
