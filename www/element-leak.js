/** An element's leak test: which token is exchanged, and what the engine last said of it. Draws nothing. */

import { firstSpot, stacksOf } from './leak.js';

/**
 * @typedef {import('./timeline.js').Frame} Frame
 * @typedef {import('./leak.js').Leak} Leak
 */

export class LeakTest {
  /** Which token a person chose; null = nobody did. @type {import('./element-point.js').Spot|null} */
  #chosen = null;
  /** What the result that is shown, or on its way, is of. */
  #asked = '';
  #turn = 0;

  /** @param {() => void} changed told when there is a result */
  constructor(changed) {
    this.changed = changed;
    this.on = false;
    /** @type {Leak|null} */
    this.result = null;
    /** @type {Error|null} */
    this.error = null;
    /** There is none yet, or it is of what was shown before. */
    this.waiting = true;
  }

  /** @param {boolean} on */
  show(on) {
    if (on === this.on) return;
    this.on = on;
    this.#turn += 1;
    this.#asked = '';
    Object.assign(this, { result: null, error: null, waiting: true });
  }

  /** @param {import('./element-point.js').Spot|null} spot null: of another text, of which nobody chose any */
  choose(spot) {
    this.#chosen = spot;
    if (this.on) this.changed();
  }

  /**
   * Tests what is shown, where that has changed.
   * @param {Frame} frame @param {import('./machine.js').Machine} machine
   * @param {string} of what the frame is of: the run and its mask
   */
  async follow(frame, machine, of) {
    if (!this.on) return;
    const stacks = stacksOf(frame);
    const { stack, position } = this.#chosen ?? firstSpot(frame);
    const spot = { stack, position: Math.min(position, (stacks.find(({ name }) => name === stack)?.tokens.length ?? 1) - 1) };
    const asked = JSON.stringify([of, spot, stacks.map(({ tokens }) => tokens.map(({ id }) => id))]);
    if (asked === this.#asked) return;
    const turn = (this.#turn += 1);
    this.#asked = asked;
    this.waiting = true;
    this.changed();
    const said = await machine.leak(frame, spot).then((result) => ({ result, error: null }), (error) => ({ result: null, error }));
    if (turn !== this.#turn) return;
    Object.assign(this, { ...said, waiting: false });
    this.changed();
  }
}
