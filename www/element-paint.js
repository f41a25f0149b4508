/** Painting an element's mask: strokes of a pointer, single cells by the keyboard, and how to take them back. Draws nothing. */

import { between, editAt, paint, readEdits, writeEdits } from './edits.js';

/**
 * @typedef {import('./edits.js').Edit} Edit
 * @typedef {import('./timeline.js').Frame} Frame
 * @typedef {{ block: import('./edits.js').Site, row: number, key: number }} Cell
 */

export class Painter {
  /** What the pressed pointer makes of the cells that it passes, and where it was. @type {{ visible: boolean, last: Cell, changed: boolean }|null} */
  #stroke = null;
  /** What was painted before each stroke, the last one last. @type {string[]} */
  #strokes = [];

  /**
   * @param {object} owner
   * @param {() => string} owner.painted   all edits that are asked for, as text
   * @param {(text: string) => void} owner.ask   asks for others
   * @param {() => Edit[]} owner.ran   those under which what is shown was computed
   */
  constructor({ painted, ask, ran }) {
    this.painted = painted;
    this.ask = ask;
    this.ran = ran;
    /** Whether a press paints. */
    this.on = false;
  }

  get edits() { return readEdits(this.painted()); }
  get isDown() { return this.#stroke !== null; }
  get canUndo() { return this.#strokes.length > 0; }

  /** @param {Frame} frame @param {Cell} cell where the pointer is pressed: all that it passes becomes what this cell is not */
  begin(frame, cell) {
    const ruled = this.#ruled(frame, cell);
    if (ruled === null) return;
    const seen = editAt(this.edits, at(cell))?.visible ?? ruled;
    this.#stroke = { visible: !seen, last: cell, changed: false };
    this.#paint(frame, [cell]);
  }

  /** @param {Frame} frame @param {Cell} cell */
  move(frame, cell) {
    const stroke = this.#stroke;
    if (!stroke || cell.block !== stroke.last.block) return;
    const cells = between(stroke.last, cell).map((one) => ({ block: cell.block, ...one }));
    stroke.last = cell;
    this.#paint(frame, cells);
  }

  /** @returns {boolean} whether anything was painted since the pointer was pressed */
  end() {
    const changed = this.#stroke?.changed ?? false;
    this.#stroke = null;
    return changed;
  }

  undo() {
    const before = this.#strokes.pop();
    if (before !== undefined) this.ask(before);
  }

  reset() {
    if (!this.painted()) return;
    this.#strokes.push(this.painted());
    this.ask('');
  }

  /** Somebody else painted: what came before is of another mask. */
  forget() {
    this.#strokes = [];
    this.#stroke = null;
  }

  #paint(frame, cells) {
    const stroke = this.#stroke;
    if (!stroke) return;
    const before = writeEdits(this.edits);
    let { edits } = this;
    for (const cell of cells) {
      const ruled = this.#ruled(frame, cell);
      if (ruled !== null) edits = paint(edits, at(cell), stroke.visible, ruled);
    }
    const after = writeEdits(edits);
    if (after === before) return;
    if (!stroke.changed) this.#strokes.push(before);
    stroke.changed = true;
    this.ask(after);
  }

  /**
   * What the rule says of a cell; null where that is not known yet. An edit departs from its rule: one of a link that does
   * not is taken away by the first press.
   */
  #ruled(frame, cell) {
    const seen = frame.blocks.find(({ name }) => name === cell.block)?.visible(cell.row, cell.key) ?? null;
    return seen !== null && editAt(this.ran(), at(cell)) ? !seen : seen;
  }
}

const at = ({ block, row, key }) => ({ site: block, row, key });
