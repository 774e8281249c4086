// Where each row begins. All rows are as high as one, unless long lines are wrapped.

const WIDE = /[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\u{1f300}-\u{1faff}]/gu;

export class Heights {
  // `row`: pixels of a line of text; `head`: of the line above it, which narrow screens have.
  constructor(row) {
    this.row = row;
    this.head = 0;
    this.columns = 0; // of a wrapped text; 0 if lines are not wrapped
    this.tops = new Float64Array(1_024); // of rows, if they are wrapped
    this.known = 0;
  }

  get least() { return this.head + this.row; }
  forget() { this.known = 0; }

  // Knows the rows of these lines, of which those that it knew are the first.
  learn(lines, textOf) {
    if (!this.columns) { this.known = lines.length; return; }
    if (this.tops.length <= lines.length) {
      const longer = new Float64Array(lines.length * 2);
      longer.set(this.tops.subarray(0, this.known + 1));
      this.tops = longer;
    }
    for (let index = this.known; index < lines.length; index += 1) {
      this.tops[index + 1] = this.tops[index] + this.head + this.row * this.rowsOf(textOf(lines[index]));
    }
    this.known = lines.length;
  }

  rowsOf(text) {
    let length = text.length;
    if (length * 2 > this.columns) length += (text.match(WIDE)?.length ?? 0);
    return Math.max(1, Math.ceil(length / this.columns));
  }

  top(index) { return this.columns ? this.tops[Math.min(index, this.known)] : index * this.least; }
  height(index) { return this.top(index + 1) - this.top(index); }
  total() { return this.top(this.known); }

  // The row at this pixel.
  at(pixel) {
    if (!this.columns) return Math.floor(pixel / this.least);
    let low = 0;
    for (let high = this.known; low < high;) {
      const middle = (low + high + 1) >> 1;
      if (this.tops[middle] <= pixel) low = middle; else high = middle - 1;
    }
    return low;
  }
}
