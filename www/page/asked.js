/**
 * What is asked of one place of the stage alone: a rule for its mask, cells painted on it, choices forced in it, heads
 * silenced, what stands in the matrix's place. Of the page's own machines the state holds it, and with it the address;
 * of a model from elsewhere it is held here, as no address tells of that.
 */

import { leftOf } from '../rules.js';

/** @typedef {'edits'|'mask'|'silenced'|'look'|'exchange'|'way'|'forced'} Name */
/** @typedef {Record<string, any>} State the page's: what it holds of places is by name, then by place; null where nothing is */

/** Changes after which nothing that was forced is of the same run. */
const OTHER_RUN = ['text', 'family', 'temperature', 'topK', 'topP', 'seed'];

/** What is held of each place, with that of one exchanged; null where nothing is left. @param {Record<string, string>|null|undefined} held @param {string} place @param {string} [value] */
function withPlace(held, place, value) {
  const { [place]: before, ...others } = held ?? {};
  if (value) return { ...others, [place]: value };
  return Object.keys(others).length ? others : null;
}

/** @param {Record<string, string>} left */
const orNull = (left) => (Object.keys(left).length ? left : null);

export class Asked {
  /** By the place of a model from elsewhere. @type {Map<string, { [name in Name]?: string }>} */
  #elsewhere = new Map();
  #state;
  #isElsewhere;

  /** @param {State} state @param {(place: string) => boolean} isElsewhere whether a model from elsewhere stands there */
  constructor(state, isElsewhere) {
    this.#state = state;
    this.#isElsewhere = isElsewhere;
  }

  /** @param {string} place @param {Name} name @returns {string|null} null: nothing is asked */
  of(place, name) {
    return (this.#isElsewhere(place) ? this.#elsewhere.get(place)?.[name] : this.#state[name]?.[place]) || null;
  }

  /** @param {string} place @param {{ [name in Name]?: string }} values what is empty is asked no more */
  put(place, values) {
    if (this.#isElsewhere(place)) this.#elsewhere.set(place, { ...this.#elsewhere.get(place), ...values });
    else for (const [name, value] of Object.entries(values)) this.#state[name] = withPlace(this.#state[name], place, value);
  }

  /** Another model stands at a place, or none. @param {string} place */
  drop(place) {
    this.#elsewhere.delete(place);
  }

  /** Models from elsewhere read something else: cells that were painted, and tokens exchanged, are of what was read before; silenced heads are not. @param {(place: string) => boolean} reads */
  unread(reads) {
    for (const place of [...this.#elsewhere.keys()].filter(reads)) this.put(place, { edits: undefined, exchange: undefined });
  }

  /**
   * The page's own machines are asked for something else: painted cells are of one sentence, like an exchanged token and
   * rules that name a place in it; silenced heads of one model; a forced choice of one run, and what makes another takes it
   * back.
   * @param {Record<string, unknown>} changes of the state, by name
   */
  forget(changes) {
    const state = this.#state;
    const isChanged = (names) => names.some((name) => name in changes);
    if (isChanged(['text', 'family'])) {
      const rules = Object.entries(state.mask ?? {}).map(([place, rule]) => [place, 'family' in changes ? '' : leftOf(rule)]).filter(([, rule]) => rule);
      Object.assign(state, { edits: null, exchange: null, mask: orNull(Object.fromEntries(rules)) });
      if ('family' in changes) state.silenced = null;
    } else if ('pair' in changes) {
      // Only an encoder reads it.
      this.put('encoder', { edits: '', exchange: '', mask: leftOf(state.mask?.encoder ?? '') });
    }
    if (!state.forced) return;
    const { encoder, ...others } = state.forced;
    if (isChanged(OTHER_RUN)) state.forced = null;
    // Only an encoder has them.
    else if (isChanged(['blanks', 'fill'])) state.forced = orNull(others);
  }
}
