/**
 * Which attention a run asks the engine for. Of a small model that is all; of a large one it would be more than a GPU
 * brings back at once, so a run asks for what is shown, and what is chosen later is asked for then (machine.js). Pure.
 *
 * @typedef {{ layer: number, head: number|'all' }} Shown   counted from 0
 * @typedef {{ source: number, target: number }} Size   the most rows of an encoder, and of what writes
 * @typedef {{ layers: 'all'|number[], heads: 'all'|number[], rows: 'all', what: string[] }} Watch
 * @typedef {{ architecture: string, layers: Record<string, number>, heads: number, stacks?: Record<string, { layers: number, heads: number }> }} Description
 * @typedef {Record<string, any[]>} Grids   of encoder, decoder and cross: [layer][head][row][key], with holes
 */

import { stackOf } from './models.js';

/** Numbers that are brought back at once: the engine allows 16 MB, and a few of them are candidates. */
const MOST = 4_000_000;
/** Numbers that a run keeps, where each of its steps brings all rows anew. */
const MOST_KEPT = 16_000_000;

const SITES = { encoder: ['encoder'], causal: ['decoder'], prefix: ['decoder'], 'encoder-decoder': ['encoder', 'decoder', 'cross'] };

const sitesOf = (description) => SITES[description.architecture].map((site) => ({ site, ...stackOf(description, site) }));

/** The layer that is drawn of a stack that has fewer. */
const layerIn = (layers, layer) => Math.min(layer, layers - 1);

const chosen = (which, count) => (which === 'all' ? Array.from({ length: count }, (_, at) => at) : which.filter((at) => at < count));

/** What a watch brings back at once, at the most: an encoder is one play, a decoder with its cross-attention another. */
function numbersOf(description, { layers, heads }, { source, target }) {
  const of = (site, rows, keys) => {
    const stack = stackOf(description, site);
    return chosen(layers, stack.layers).length * chosen(heads, stack.heads).length * rows * keys;
  };
  const { architecture } = description;
  if (architecture === 'encoder') return of('encoder', source, source);
  if (architecture !== 'encoder-decoder') return of('decoder', target, target);
  return Math.max(of('encoder', source, source), of('decoder', target, target) + of('cross', target, source));
}

/**
 * All attention where there is room for it, else the shown layer, else the shown head; nothing where not even that fits.
 * @param {Description} description
 * @param {Shown} shown
 * @param {Size} size
 * @param {number} [passes] steps that bring all rows: more than one under a mask that lets earlier rows see later ones
 * @returns {Watch}
 */
export function watchFor(description, { layer, head }, size, passes = 1) {
  const sites = sitesOf(description);
  const layers = [...new Set(sites.map((stack) => layerIn(stack.layers, layer)))].sort((a, b) => a - b);
  // One head of every stack: where one has fewer heads, its others cannot be asked for by their number.
  /** @type {Array<[number[], number[]]>} */
  const one = head !== 'all' && sites.every((stack) => head < stack.heads) ? [[layers, [head]]] : [];
  /** @type {Array<[Watch['layers'], Watch['heads']]>} */
  const tries = [['all', 'all'], [layers, 'all'], ...one];
  for (const [some, heads] of tries) {
    /** @type {Watch} */
    const watch = { layers: some, heads, rows: 'all', what: ['attention'] };
    const numbers = numbersOf(description, watch, size);
    if (numbers <= MOST && numbers * passes <= MOST_KEPT) return watch;
  }
  return { layers, heads: 'all', rows: 'all', what: [] };
}

/** @param {Watch} watch */
export const watchesNothing = ({ what }) => what.length === 0;

/**
 * Attention as a watch brought it, each layer and head at its own place.
 * @param {Grids|undefined} grids @param {Watch} watch @param {Description} description
 */
export function placed(grids, watch, description) {
  if (!grids || watch.layers === 'all' && watch.heads === 'all') return grids;
  return Object.fromEntries(Object.entries(grids).map(([site, found]) => {
    const { layers, heads } = stackOf(description, site);
    return [site, atPlaces(found.map((own) => atPlaces(own, watch.heads, heads)), watch.layers, layers)];
  }));
}

/** A list of `count` with these at the places that were asked for, and holes. */
function atPlaces(found, which, count) {
  const all = Array(count);
  chosen(which, count).forEach((place, at) => { all[place] = found[at]; });
  return all;
}

/**
 * The parts of a run that tell of attention, with the grids that each tells of: what was read before its first step, and
 * each pass of a step.
 * @param {import('./timeline.js').Timeline} timeline
 * @returns {Array<[string[], Grids|undefined]>}
 */
function passesOf({ header, steps, architecture }) {
  const [first, ...others] = SITES[architecture];
  const own = others.length ? others : [first];
  const passes = steps.filter(({ rows }) => rows?.length).map(({ attention }) => /** @type {[string[], Grids|undefined]} */ ([own, attention]));
  const isRead = others.length > 0 || architecture === 'encoder' && steps.length === 0;
  return isRead ? [[[first], header.forward?.attention], ...passes] : passes;
}

/** Whether a run holds less than what is shown. @param {import('./timeline.js').Timeline} timeline @param {Description} description @param {Shown} shown */
export function lacks(timeline, description, { layer, head }) {
  return passesOf(timeline).some(([sites, grids]) => sites.some((site) => {
    const { layers, heads } = stackOf(description, site);
    const own = grids?.[site]?.[layerIn(layers, layer)];
    return chosen(head === 'all' ? 'all' : [head], heads).some((at) => !own?.[at]);
  }));
}

/** Puts grids into the holes of others. @param {Grids} into @param {Grids} grids @param {(rows: any) => any} [rowsOf] the rows that are wanted */
export function fillHoles(into, grids, rowsOf = (rows) => rows) {
  for (const [site, found] of Object.entries(grids)) {
    found.forEach((own, layer) => own.forEach((rows, head) => {
      into[site] ??= [];
      into[site][layer] ??= [];
      into[site][layer][head] ??= rowsOf(rows);
    }));
  }
}

/**
 * The passes that tell a run's attention once more, each with what takes it in. An answer is one pass, where its rows see
 * nothing that came later, else one a step; an encoder's is one each time that it read its text anew.
 * @param {import('./timeline.js').Timeline} timeline
 * @param {{ text: string, pair?: string }} asked
 * @returns {Array<{ request: object, take: (grids: Grids) => void }>}
 */
export function readAgain(timeline, { text, pair }) {
  const { header, steps, architecture } = timeline;
  const forward = header.forward ??= {};
  const takeRead = (grids) => fillHoles(forward.attention ??= {}, grids);
  if (architecture === 'encoder') {
    if (!steps.length) return [{ request: { text, pair }, take: takeRead }];
    return steps.flatMap((step, at) => (step.rows?.length ? [{ request: { ids: timeline.filledIds(at) }, take: (grids) => fillHoles(step.attention ??= {}, grids) }] : []));
  }
  const wired = architecture === 'encoder-decoder';
  const length = wired ? header.tokens.length : header.source_length ?? header.tokens.length;
  const ids = header.tokens.slice(0, length).map(({ id }) => id);
  const pass = (/** @type {number} */ last, /** @type {typeof steps} */ of) => ({
    request: { ids, sourceLength: length, targetIds: timeline.answerIds(last) },
    take: (/** @type {Grids} */ { encoder, ...own }) => {
      if (encoder) takeRead({ encoder });
      for (const step of of) {
        const { rows } = step;
        if (rows) fillHoles(step.attention ??= {}, own, (all) => rows.map((row) => all[row]));
      }
    },
  });
  const isOpen = steps.slice(1).some(({ rows }) => (rows?.length ?? 0) > 1);
  return isOpen ? steps.map((step, at) => pass(at, [step])) : [pass(Math.max(0, steps.length - 1), steps)];
}
