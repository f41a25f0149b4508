/** What an element's model is trained on: in which of its ways, and which draw of the lots. Draws nothing. */

import { Asked } from './element-asked.js';
import { lotsOf, objectiveOf, piecesOf, wayOf } from './objective.js';

/** The whole run, wherever the clock is: told at once, no model runs for it. @extends {Asked<import('./objective.js').Objective>} */
export class ObjectiveOf extends Asked {
  #draw = 0;

  /** @param {() => void} changed */
  constructor(changed) {
    super(changed, 0);
    /** The page's own. */
    this.seed = 1;
    /** The one that was chosen, '' = none was. */
    this.way = '';
  }

  /** @param {string} way '' = the same one, drawn again */
  choose(way) {
    if (way) this.way = way;
    else this.#draw += 1;
    this.waiting = true;
    this.changed();
  }

  /** @param {import('./timeline.js').Frame} frame @param {import('./machine.js').Machine} machine @param {string} of the run */
  follow({ architecture }, machine, of) {
    if (!this.on) return;
    const { objective } = machine.engine?.describe() ?? machine.timeline?.header.model ?? {};
    const way = wayOf(architecture, objective, this.way);
    this.want([way, this.#draw, this.seed], of, async () => objectiveOf(way, textOf(machine), lotsOf(this.seed, this.#draw)));
  }
}

/**
 * The text, and what the run wrote after it. In place of an encoder's blanks stands what the person wrote; of a stored run, what filled them.
 * @param {import('./machine.js').Machine} machine @returns {import('./objective.js').Text}
 */
function textOf({ timeline, parts, canRun, isEncoder }) {
  if (!timeline) return { source: [], target: [], starts: 0 };
  const { source, target, starts } = timeline.frame(timeline.length);
  /** @type {import('./timeline.js').Token[]} */
  const written = canRun && isEncoder ? parts.tokens : [];
  const whole = written.length === source.length ? written.map((token) => ({ ...token, special: timeline.signs.specials?.has(token.id) })) : source;
  const pieces = piecesOf([...whole, ...target]);
  return { source: pieces.slice(0, source.length), target: pieces.slice(source.length), starts };
}
