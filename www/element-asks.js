/** All that an element asks of the engine for the views in its matrix's place: of what stands there now, and of nothing else. */

import { Asked } from './element-asked.js';
import { TwoBlanks } from './element-blanks.js';
import { LeakTest } from './element-leak.js';
import { ObjectiveOf } from './element-objective.js';
import { stacksOf } from './leak.js';

/** Who can know what of the tokens that are shown: told at once, no model runs for it. @extends {Asked<import('./views/reach.js').Reach>} */
class ReachOf extends Asked {
  /** @param {import('./timeline.js').Frame} frame @param {import('./machine.js').Machine} machine @param {string} of the run */
  follow(frame, machine, of) {
    if (!this.on) return;
    this.want(stacksOf(frame).map(({ tokens }) => tokens.map(({ id }) => id)), of, () => machine.reach(frame));
  }
}

export class Asks {
  /** Counts what was told. */
  told = 0;

  /** @param {() => void} changed */
  constructor(changed) {
    const tell = () => { this.told += 1; changed(); };
    this.leak = new LeakTest(tell);
    this.blanks = new TwoBlanks(tell);
    this.objective = new ObjectiveOf(tell);
    /** By the name of the place. @type {Record<string, import('./element-asked.js').Asked<any> & { follow: Function }>} */
    this.all = { reach: new ReachOf(tell, 0), leak: this.leak, blanks: this.blanks, objective: this.objective };
  }

  /** @param {string} place what stands in the matrix's place */
  show(place) {
    for (const [name, asked] of Object.entries(this.all)) asked.show(name === place);
  }

  /** @param {import('./timeline.js').Frame} frame @param {import('./machine.js').Machine} machine @param {string} of the run */
  follow(frame, machine, of) {
    for (const asked of Object.values(this.all)) asked.follow(frame, machine, of);
  }
}
