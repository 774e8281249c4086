// A colour for each name: the same in every run unless another name has it. CSS makes it readable in both themes.

const SLOTS = 24;
const NEAR = 3; // slots between two colours that look alike
const slots = { stream: new Map(), process: new Map(), source: new Map() };
const SHADES = [0, .14, -.14, .24]; // added to the lightness

export function hueOf(kind, name) {
  const known = slots[kind];
  let slot = known.get(name);
  if (slot === undefined) {
    let hash = 0;
    for (const character of name) hash = (hash * 31 + character.codePointAt(0)) >>> 0;
    slot = free(hash % SLOTS, [...known.values()]);
    // Those that come later have no slots of their own.
    if (known.size < SLOTS) known.set(name, slot);
  }
  return slot * (360 / SLOTS);
}

// The slot itself, or if its colour looks like a taken one, the slot that is farthest from all taken ones.
function free(slot, taken) {
  const distance = (one) => Math.min(SLOTS, ...taken.map((other) => Math.min(Math.abs(one - other), SLOTS - Math.abs(one - other))));
  if (taken.length >= SLOTS || distance(slot) >= NEAR) return slot;
  let best = slot;
  for (let step = 1; step < SLOTS; step += 1) {
    const one = (slot + step) % SLOTS;
    if (distance(one) > distance(best)) best = one;
  }
  return best;
}

// Gives the names their colours anew, in this order.
export function assign(kind, names) {
  slots[kind].clear();
  for (const name of names) hueOf(kind, name);
}

export function colour(element, kind, name) {
  element.classList.add("hue");
  element.style.setProperty("--hue", hueOf(kind, name));
}

// The same colour for a plot, in one of several shades.
export const shadeOf = (kind, name, shade = 0) =>
  `oklch(calc(var(--hue-light) + ${SHADES[shade % SHADES.length]}) var(--hue-chroma) ${hueOf(kind, name)})`;
