/**
 * Losses of a GPU, with the worker or alone, over all engines of the page: what was lost together counts once.
 * Pure but for the clock, which is given.
 */

/** After so many losses within so many milliseconds engines come, or come back, on the CPU and stay there. */
export const MOST_LOSSES = 3;
export const WITHIN_MILLISECONDS = 60_000;

export class Losses {
  /** @type {Map<string|number, number>} when each was first noticed */
  #noticed = new Map();
  #now;

  constructor(now = () => performance.now()) {
    this.#now = now;
  }

  /** @param {string|number} loss the same for everything that was lost together */
  note(loss) {
    if (!this.#noticed.has(loss)) this.#noticed.set(loss, this.#now());
  }

  /** Whether there were too many within a minute. */
  get tooMany() {
    const since = this.#now() - WITHIN_MILLISECONDS;
    for (const [loss, at] of this.#noticed) if (at < since) this.#noticed.delete(loss);
    return this.#noticed.size >= MOST_LOSSES;
  }
}
