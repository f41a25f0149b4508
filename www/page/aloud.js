/** What the page says aloud of its machines: the step where the clock stands, and what comes of what a person changed. */

import { sayNext, sayStep } from './say.js';

/** @typedef {import('../element.js').UnmaskedDemo} Demo */
/**
 * @typedef {object} Stage
 * @property {Map<string, Demo>} demos  by their place
 * @property {(place: string) => string} nameOf
 * @property {() => number} position    where the clock stands
 * @property {() => number} available
 * @property {() => boolean} ended
 * @property {() => boolean} renewed
 * @property {(text: string) => void} say
 * @property {() => (key: string, values?: object) => string} t
 */

export class Aloud {
  /** The position that was said last. */
  #said;
  /** What the runs are of whose outcome was told last; null = nobody changed anything yet. @type {string|null} */
  #told = null;
  #stage;

  /** @param {Stage} stage @param {number} said a position of which nothing is said: the page opens there */
  constructor(stage, said) {
    this.#stage = stage;
    this.#said = said;
  }

  #steps() {
    const { demos, nameOf, position, available, ended, say, t } = this.#stage;
    this.#said = position();
    const machines = [...demos].map(([place, demo]) => ({ name: nameOf(place), timeline: demo.timeline, isCovered: demo.isCovered }));
    say(sayStep(this.#said, machines, this.#said === available() && ended(), t()));
  }

  /** The clock has moved. Where another run was asked for, what it came to is said once it is there. */
  moved() {
    const { demos, position, renewed } = this.#stage;
    if (this.#said !== position() && !renewed() && [...demos.values()].some((demo) => demo.timeline)) this.#steps();
  }

  /** Another sentence, other blanks, another mask: what comes of it is said where the clock stands. */
  runs() {
    const { demos, position, ended, say, t } = this.#stage;
    const all = [...demos.values()];
    const runs = all.some((demo) => demo.timeline);
    if (!ended() || !runs && all.every((demo) => demo.phase !== 'empty')) return;
    const now = JSON.stringify(all.map(({ timeline }) => timeline && [timeline.question, timeline.rule, timeline.edits, timeline.silenced]));
    const isOther = this.#told !== null && this.#told !== now;
    if (runs && (isOther || this.#said !== position())) this.#steps();
    // Of nothing there is no step that would be said after that.
    else if (!runs && isOther) say(t()('machine.empty'));
    this.#said = position();
    this.#told = now;
  }

  /** Candidates are uncovered: they are said as they are seen. */
  reveal() {
    const { demos, nameOf, position, say, t } = this.#stage;
    const covered = [...demos].filter(([, demo]) => demo.isCovered);
    for (const [, demo] of covered) demo.reveal();
    const next = sayNext(position(), covered.filter(([, demo]) => !demo.isCovered).map(([place, { timeline }]) => ({ name: nameOf(place), timeline })), t());
    if (next) say(next);
  }
}
