/** What a person points at in an element: tokens, which other machines may want to point at, too, and cells, which a press may paint. Draws nothing. */

import { sightOf } from './element-draw.js';
import { nextCell, pointedBy, spotFor } from './element-point.js';
import { cellAt, layout } from './views/matrix.js';
import { describeCell, roomOf } from './views/mask.js';

/**
 * @typedef {import('./element-point.js').Spot} Spot
 * @typedef {import('./element-paint.js').Cell} Cell
 * @typedef {import('./timeline.js').Frame} Frame
 */

export class Hand {
  /** @type {Spot|null} */
  hover = null;
  /** @type {Spot|null} */
  pinned = null;
  /** @type {Cell|null} */
  cell = null;
  /** What is pointed at was pointed at here, not in another machine. */
  #points = false;

  /**
   * @param {object} owner
   * @param {import('./element-paint.js').Painter} owner.painter
   * @param {() => Frame|null} owner.frame   what is shown
   * @param {() => any} owner.drawn   the same with all that the views need; null where nothing is shown
   * @param {() => boolean} owner.isCurrent   whether what is shown is of what is asked for
   * @param {(pointed: object|null, here: boolean) => void} owner.pointed   tells the page around what is pointed at here
   * @param {(text: string) => void} owner.say
   * @param {() => void} owner.listens   a cell was painted by key: what comes of it is to be said aloud
   * @param {() => void} owner.changed
   */
  constructor(owner) {
    this.owner = owner;
  }

  /** Of another run: whoever paints goes on where he is. Others are told that nothing is pointed at any more. */
  forget() {
    const told = this.#points || this.pinned !== null;
    Object.assign(this, { hover: null, pinned: null, cell: this.owner.painter.on ? this.cell : null });
    this.#points = false;
    if (told) this.owner.pointed(null, false);
  }

  /** Pins a token, and says aloud what it sees; or takes its pin away. @param {Spot} spot */
  pin(spot) {
    const isSame = this.pinned?.position === spot.position && this.pinned?.stack === spot.stack;
    this.pinned = isSame ? null : spot;
    this.pointAt(this.pinned);
    this.#pinChanged();
  }

  /** @returns {boolean} whether there was a pin */
  unpin() {
    if (!this.pinned) return false;
    this.pinned = null;
    this.pointAt(null);
    this.#pinChanged();
    return true;
  }

  /** What is pointed at may be the same as before. Of no pin nothing is said: the same one, pinned again, is said again. */
  #pinChanged() {
    const frame = this.pinned && this.owner.drawn();
    const said = frame && sightOf(frame);
    this.owner.say(said ? frame.view.t('sight.token', said) : '');
    this.owner.changed();
  }

  /** A token was pointed at here. @param {Spot|null} spot */
  pointAt(spot) {
    this.#points = spot !== null;
    if (JSON.stringify(spot) === JSON.stringify(this.hover)) return;
    this.hover = spot;
    this.owner.pointed(this.#told(spot), spot !== null);
    this.owner.changed();
  }

  /** What a person pinned here, for other machines to point at. */
  get told() { return this.#told(this.pinned); }

  /** Points at this machine's own token for what was pointed at in another. */
  pointLike(pointed) {
    const frame = this.owner.frame();
    this.hover = frame ? spotFor(frame, pointed) ?? this.pinned : null;
    this.owner.changed();
  }

  /** @param {Spot|null} spot */
  #told(spot) {
    const frame = this.owner.frame();
    return frame ? pointedBy(frame, spot) : null;
  }

  /** @param {number} x @param {number} y */
  moveTo(x, y) {
    const { painter, drawn } = this.owner;
    const frame = painter.under ?? drawn();
    if (!frame) return;
    const cell = cellAt(layout(frame, roomOf(frame)), x, y);
    if (JSON.stringify(cell) === JSON.stringify(this.cell)) return;
    this.cell = cell;
    if (cell) painter.move(cell);
    this.owner.changed();
  }

  leave() {
    if (!this.cell) return;
    this.cell = null;
    this.owner.changed();
  }

  /** The keyboard's way through the cells, said aloud as it goes. @param {number} rows @param {number} keys */
  step(rows, keys) {
    const frame = this.owner.drawn();
    if (!frame) return;
    this.cell = nextCell(frame, this.cell, rows, keys);
    this.sayCell();
    this.owner.changed();
  }

  /**
   * The cell that is pointed at is painted, where that is what a press does; said aloud where a key did it.
   * @param {boolean} isKey
   * @returns {boolean} whether it is
   */
  press(isKey) {
    const { painter, drawn, isCurrent, listens } = this.owner;
    const frame = drawn();
    if (!painter.on || !frame?.painting.can || !this.cell) return false;
    // A picture of another question, or of another rule: its cells are not those of the run that is on its way.
    if (!isCurrent()) return true;
    painter.begin(frame, this.cell);
    if (isKey) { this.sayCell(); listens(); }
    return true;
  }

  sayCell() {
    const frame = this.owner.drawn();
    const said = frame && this.cell ? describeCell(frame, this.cell) : null;
    this.owner.say(said ? `${said.text} ${said.number}`.trim() : '');
  }
}
