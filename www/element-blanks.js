/** An element's two blanks, apart and together: which guess of the first is told in words. Draws nothing. */

import { pairOf } from './blanks.js';
import { Asked } from './element-asked.js';

/** @extends {Asked<import('./blanks.js').Two>} */
export class TwoBlanks extends Asked {
  /** The guess of the first blank that a person chose; null = the likeliest. @type {number|null} */
  #chosen = null;

  /** @param {number} id */
  choose(id) {
    this.#chosen = id;
    const { result } = this;
    if (!result) return;
    this.result = this.#told(result);
    this.changed();
  }

  /**
   * Asks of what is shown, where that has changed: the text with its blanks as the run began with it, wherever the clock is.
   * @param {import('./timeline.js').Frame} frame @param {import('./machine.js').Machine} machine
   * @param {string} of the run, and with it its mask
   */
  follow(frame, machine, of) {
    if (!this.on) return;
    const pair = pairOf(frame);
    this.want(pair, of, async (isWanted) => {
      const two = pair && await machine.twoBlanks(pair, isWanted);
      return two && this.#told(two);
    });
  }

  /** @param {import('./blanks.js').Two} two */
  #told(two) {
    const isThere = two.given.some(({ guess }) => guess.id === this.#chosen);
    return { ...two, chosen: this.#chosen !== null && isThere ? this.#chosen : two.given[0].guess.id };
  }
}
