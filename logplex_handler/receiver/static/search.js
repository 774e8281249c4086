// Looks for the lines that match, in slices between which the page is drawn: first those that the reader sees.

const BLOCK = 500; // lines between two looks at the clock

export class Search {
  // `find(line, found)` adds to `found` what is shown of a line; `start`: the index of the line to begin at.
  constructor(lines, find, start) {
    this.lines = lines;
    this.find = find;
    this.low = start; // The lines from here to `high` have been looked at.
    this.high = start;
    this.before = []; // What was found in each block before `start`, the nearest first.
    this.after = [];
    this.count = 0; // of what was found
  }

  // Looks on for so many milliseconds, also at lines that were added; returns whether it has seen all lines.
  goOn(milliseconds) {
    const until = performance.now() + milliseconds;
    while (this.low > 0 || this.high < this.lines.length) {
      if (this.high < this.lines.length) {
        const end = Math.min(this.lines.length, this.high + BLOCK);
        this.after.push(this.look(this.high, end));
        this.high = end;
      }
      if (this.low > 0) {
        const begin = Math.max(0, this.low - BLOCK);
        this.before.push(this.look(begin, this.low));
        this.low = begin;
      }
      if (performance.now() >= until) break;
    }
    return this.low === 0 && this.high === this.lines.length;
  }

  look(begin, end) {
    const found = [];
    for (let index = begin; index < end; index += 1) this.find(this.lines[index], found);
    this.count += found.length;
    return found;
  }

  found() { return [...this.before].reverse().concat(this.after).flat(); }
}
