/** An element's leak test: which token is exchanged, and what the engine last said of it. Draws nothing. */

import { firstSpot, stacksOf } from './leak.js';

/** What is shown has to rest so long before it is tested again: a clock that is dragged passes much. */
const REST_MILLISECONDS = 120;

/**
 * @typedef {import('./timeline.js').Frame} Frame
 * @typedef {import('./machine.js').Machine} Machine
 * @typedef {import('./leak.js').Leak} Leak
 */

export class LeakTest {
  /** Which token a person chose; null = nobody did. @type {import('./element-point.js').Spot|null} */
  #chosen = null;
  /** What the result that is shown, or on its way, is of. */
  #asked = '';
  /** What is to be tested next; the last wish counts. @type {{ frame: Frame, machine: Machine, spot: import('./element-point.js').Spot, of: string }|null} */
  #wish = null;
  #tests = false;

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
    /** The run that the result is of. */
    this.of = '';
  }

  /** @param {boolean} on */
  show(on) {
    if (on === this.on) return;
    this.on = on;
    this.#asked = '';
    this.#wish = null;
    Object.assign(this, { result: null, error: null, waiting: true });
  }

  /** @param {import('./element-point.js').Spot|null} spot null: of another text, of which nobody chose any */
  choose(spot) {
    this.#chosen = spot;
    this.waiting = true;
    if (this.on) this.changed();
  }

  /**
   * Tests what is shown, where that has changed: one test after the other, whatever else is wished meanwhile.
   * @param {Frame} frame @param {Machine} machine
   * @param {string} of the run, and with it its mask
   */
  follow(frame, machine, of) {
    if (!this.on) return;
    const stacks = stacksOf(frame);
    const { stack, position } = this.#chosen ?? firstSpot(frame);
    const spot = { stack, position: Math.min(position, (stacks.find(({ name }) => name === stack)?.tokens.length ?? 1) - 1) };
    const asked = JSON.stringify([of, spot, stacks.map(({ tokens }) => tokens.map(({ id }) => id))]);
    if (asked === this.#asked) {
      // Chosen again, or another that comes to the same.
      if (!this.#wish && this.waiting) { this.waiting = false; this.changed(); }
      return;
    }
    this.#asked = asked;
    this.#wish = { frame, machine, spot, of };
    this.waiting = true;
    this.changed();
    if (!this.#tests) this.#test();
  }

  async #test() {
    this.#tests = true;
    while (this.#wish) {
      const wish = this.#wish;
      if (this.result) await new Promise((resolve) => { setTimeout(resolve, REST_MILLISECONDS); });
      if (wish !== this.#wish) continue;
      const isWanted = () => wish === this.#wish;
      const said = await wish.machine.leak(wish.frame, wish.spot, isWanted).then((result) => ({ result, error: null }), (error) => ({ result: null, error }));
      if (!isWanted()) continue;
      this.#wish = null;
      Object.assign(this, { ...said, of: wish.of, waiting: false });
      this.changed();
    }
    this.#tests = false;
  }
}
