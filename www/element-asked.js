/** Something that is asked of the engine about what an element shows, again whenever that has changed. Draws nothing. */

/** What is shown has to rest so long before it is asked about again: a clock that is dragged passes much. */
const REST_MILLISECONDS = 120;

/** @template Result */
export class Asked {
  /** What the result that is shown, or on its way, is of. */
  #asked = '';
  /** What is to be asked next; the last wish counts. @type {{ ask: (isWanted: () => boolean) => Promise<Result|null>, of: string }|null} */
  #wish = null;
  #asks = false;

  /**
   * @param {() => void} changed told when there is a result, or it waits for another
   * @param {number} [rest] milliseconds
   */
  constructor(changed, rest = REST_MILLISECONDS) {
    this.changed = changed;
    this.rest = rest;
    this.on = false;
    /** @type {Result|null} */
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

  /**
   * Asks, where what it depends on has changed: one after the other, whatever else is wished meanwhile.
   * @param {any} what all that the answer depends on
   * @param {string} of the run, and with it its mask
   * @param {(isWanted: () => boolean) => Promise<Result|null>} ask may stop between two passes where it is wanted no more
   */
  want(what, of, ask) {
    if (!this.on) return;
    const asked = JSON.stringify([of, what]);
    if (asked === this.#asked) {
      // Chosen again, or another that comes to the same.
      if (!this.#wish && this.waiting) { this.waiting = false; this.changed(); }
      return;
    }
    this.#asked = asked;
    this.#wish = { ask, of };
    this.waiting = true;
    this.changed();
    if (!this.#asks) this.#ask();
  }

  async #ask() {
    this.#asks = true;
    while (this.#wish) {
      const wish = this.#wish;
      if (this.result && this.rest) await new Promise((resolve) => { setTimeout(resolve, this.rest); });
      if (wish !== this.#wish) continue;
      const isWanted = () => wish === this.#wish;
      const said = await wish.ask(isWanted).then((result) => ({ result, error: null }), (error) => ({ result: null, error }));
      if (!isWanted()) continue;
      this.#wish = null;
      Object.assign(this, { ...said, of: wish.of, waiting: false });
      this.changed();
    }
    this.#asks = false;
  }
}
