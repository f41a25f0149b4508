/** Changing how an element's model attends: another rule, silenced heads, strokes of a pointer, single cells by the keyboard, and how to take them back. Draws nothing. */

import { between, editAt, paint, readEdits, writeEdits } from './edits.js';
import { readSilenced, toggled, writeSilenced } from './gates.js';
import { dialOf, join, mainOf, partsOf, sourcesOf, spell } from './rules.js';

/**
 * @typedef {import('./edits.js').Edit} Edit
 * @typedef {import('./timeline.js').Frame} Frame
 * @typedef {{ edits: string, rule: string, silenced: string }} Wish   as attributes have them; '' = the model's own
 * @typedef {{ block: import('./edits.js').Site, row: number, key: number }} Cell
 * @typedef {Frame & { ran: Edit[] }} Painted   with the edits under which it was computed
 */

export class Painter {
  /** What the pressed pointer makes of the cells that it passes, where it was, and what was shown when it was pressed. @type {{ visible: boolean, last: Cell, changed: boolean, frame: Painted }|null} */
  #stroke = null;
  /** What was asked for before each change, the last one last. @type {Wish[]} */
  #before = [];
  /** A dial is being turned: all of it is one change. */
  #turns = false;

  /**
   * @param {object} owner
   * @param {() => Wish} owner.asked   what is asked for
   * @param {(wish: Wish) => void} owner.ask   asks for another mask
   */
  constructor({ asked, ask }) {
    this.asked = asked;
    this.ask = ask;
    /** Whether a press paints. */
    this.on = false;
  }

  get edits() { return readEdits(this.asked().edits); }
  get isDown() { return this.#stroke !== null; }
  /** What the pressed pointer paints: the run of an earlier stroke, come in meanwhile, has other cells in other places. */
  get under() { return this.#stroke?.frame ?? null; }
  /** Whether a dial is being turned. */
  get turns() { return this.#turns; }
  get canUndo() { return this.#before.length > 0; }

  /** @param {Painted} frame @param {Cell} cell where the pointer is pressed: all that it passes becomes what this cell is not */
  begin(frame, cell) {
    const ruled = this.#ruled(frame, cell);
    if (ruled === null) return;
    const seen = editAt(this.edits, at(cell))?.visible ?? ruled;
    this.#stroke = { visible: !seen, last: cell, changed: false, frame };
    this.#paint([cell]);
  }

  /** @param {Cell} cell */
  move(cell) {
    const stroke = this.#stroke;
    if (!stroke || cell.block !== stroke.last.block) return;
    const cells = between(stroke.last, cell).map((one) => ({ block: cell.block, ...one }));
    stroke.last = cell;
    this.#paint(cells);
  }

  /** @returns {boolean} whether anything was painted since the pointer was pressed */
  end() {
    const changed = this.#stroke?.changed ?? false;
    this.#stroke = null;
    return changed;
  }

  undo() {
    this.#turns = false;
    const before = this.#before.pop();
    if (before !== undefined) this.ask(before);
  }

  reset() {
    this.#turns = false;
    this.#change({ edits: '', rule: '', silenced: '' });
  }

  /** Another rule, where its dial stands before anybody turned it. Cells were painted on the one before. @param {Frame} frame @param {string} name '' = the model's own */
  choose(frame, name) {
    this.#turns = false;
    const rule = /** @type {import('./rules.js').RuleName} */ (name);
    const main = name && spell({ name: rule, n: dialOf(rule, frame)?.first ?? null }, frame.architecture !== 'encoder');
    const now = this.asked();
    this.#change({ ...now, edits: '', rule: join(main, sourcesOf(now.rule)) });
  }

  /** How far the rule reaches: until the dial is let go that is one change. @param {number} n */
  turn(n) {
    const { rule } = this.asked();
    const parts = partsOf(rule);
    if (parts) this.#turn(join(spell({ ...parts, n }, parts.back), sourcesOf(rule)));
  }

  /** How many tokens of the source a target may look at. @param {Frame} frame @param {number} n */
  narrow(frame, n) {
    this.#turn(join(mainOf(this.asked().rule), n < frame.sourceLength ? n : null));
  }

  /** @param {string} rule */
  #turn(rule) {
    const wish = { ...this.asked(), edits: '', rule };
    if (this.#turns) this.ask(wish);
    else this.#change(wish);
    this.#turns = true;
  }

  /** Heads are silenced, or heard again. @param {import('./gates.js').Head[]} heads */
  silence(heads) {
    const now = this.asked();
    this.#turns = false;
    this.#change({ ...now, silenced: writeSilenced(toggled(readSilenced(now.silenced), heads)) });
  }

  /** The dial was let go. */
  rest() { this.#turns = false; }

  #change(wish) {
    const now = this.asked();
    if (wish.edits === now.edits && wish.rule === now.rule && wish.silenced === now.silenced) return;
    this.#before.push(now);
    this.ask(wish);
  }

  /** Somebody else painted: what came before is of another mask. */
  forget() {
    this.#before = [];
    this.#stroke = null;
    this.#turns = false;
  }

  #paint(cells) {
    const stroke = this.#stroke;
    if (!stroke) return;
    const now = this.asked();
    const before = writeEdits(this.edits);
    let { edits } = this;
    for (const cell of cells) {
      const ruled = this.#ruled(stroke.frame, cell);
      if (ruled !== null) edits = paint(edits, at(cell), stroke.visible, ruled);
    }
    const after = writeEdits(edits);
    if (after === before) return;
    if (!stroke.changed) this.#before.push({ ...now, edits: before });
    stroke.changed = true;
    this.ask({ ...now, edits: after });
  }

  /**
   * What the rule says of a cell; null where that is not known yet. An edit departs from its rule: one of a link that does
   * not is taken away by the first press.
   */
  #ruled(frame, cell) {
    const seen = frame.blocks.find(({ name }) => name === cell.block)?.visible(cell.row, cell.key) ?? null;
    return seen !== null && editAt(frame.ran, at(cell)) ? !seen : seen;
  }
}

const at = ({ block, row, key }) => ({ site: block, row, key });
