/** An element's leak test: which token is exchanged. Draws nothing. */

import { Asked } from './element-asked.js';
import { spotIn, stacksOf } from './leak.js';

/** @extends {Asked<import('./leak.js').Leak>} */
export class LeakTest extends Asked {
  /** Which token a person chose; null = nobody did. @type {import('./leak.js').Exchange|null} */
  #chosen = null;

  /** @param {import('./leak.js').Exchange|null} spot null: of another text, of which nobody chose any */
  choose(spot) {
    this.#chosen = spot;
    this.waiting = true;
    if (this.on) this.changed();
  }

  /**
   * Tests what is shown, where that has changed.
   * @param {import('./timeline.js').Frame} frame @param {import('./machine.js').Machine} machine
   * @param {string} of the run, and with it its mask
   */
  follow(frame, machine, of) {
    if (!this.on) return;
    const stacks = stacksOf(frame);
    const spot = spotIn(frame, this.#chosen);
    this.want([spot, stacks.map(({ tokens }) => tokens.map(({ id }) => id))], of, (isWanted) => machine.leak(frame, spot, isWanted));
  }
}
