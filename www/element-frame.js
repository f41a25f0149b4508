/** What an element shows, as plain objects: read from its attributes, its machine, its clock and its tools. Draws nothing, keeps nothing. */

import { within } from './edits.js';
import { fitting, readSilenced } from './gates.js';
import { chooseLanguage, translator } from './i18n/index.js';
import { calledOf, depthsOf, headsOf, isOwn, isUntrained } from './models.js';
import { cameTo, mainOf, ownName, partsOf, sourcesOf } from './rules.js';
import { ARCHITECTURES } from './state.js';
import { roomFor, rowsFor } from './views/matrix.js';
import { PLACES } from './views/places.js';

/**
 * @typedef {import('./element.js').UnmaskedDemo} Demo
 * @typedef {object} Tools   what an element has beside its attributes
 * @property {import('./machine.js').Machine} machine
 * @property {import('./clock.js').Clock} clock
 * @property {import('./element-paint.js').Painter} painter
 * @property {import('./element-asks.js').Asks} asks
 * @property {{ width: number, height: number, font?: number, hover: any, pinned: any, cell: any }} view
 * @property {number} least   rows that the matrix has had room for while it is painted
 * @property {{ layer: number, head: number|'all' }|null} chosen   which layer and head the page around says are shown, counted from 1
 * @property {boolean} missing
 * @property {boolean} wanted
 * @property {boolean} uncovered   whether a person uncovered the candidates that are shown
 * @property {string} runKey   another one for every run, and every choice that was forced in it
 */

/** The architecture that its author named. @param {Element} element */
export function architectureOf(element) {
  const named = element.getAttribute('architecture') ?? '';
  return ARCHITECTURES.includes(named) ? named : 'causal';
}

/** Whether its author says which machine it is: a stored run, a scene or a model that is named tells of itself, once it is there. @param {Pick<Demo, 'getAttribute'|'hasAttribute'|'files'>} element */
export function isNamed(element) {
  const named = element.getAttribute('architecture');
  if (named) return ARCHITECTURES.includes(named);
  return !element.files && !['trace', 'scene', 'model'].some((name) => element.hasAttribute(name));
}

/** Which parts of a machine are shown. @param {Element} element */
export const viewsOf = (element) => new Set((element.getAttribute('view') || 'title about tokens mask candidates stats').split(/\s+/));

/** What may stand in the matrix's place. @param {import('./machine.js').Machine} machine */
export const placesOf = (machine) => Object.keys(PLACES).filter((name) => {
  const { needs } = PLACES[name];
  return needs === 'fill' ? machine.fills : needs !== 'engine' || machine.canRun;
});

/** What stands there; '' = the matrix. @param {Element} element @param {import('./machine.js').Machine} machine */
export const placeOf = (element, machine) => placesOf(machine).find((name) => name === element.getAttribute('look')) ?? '';

/** Counted from 1, as an address has it; 0: nobody says. @param {string|null} text */
const counted = (text) => (/^\d{1,9}$/.test(text ?? '') ? Number(text) : 0);

/**
 * The layer and the head that are shown, counted from 0, how many there are, and what was asked for, counted from 1.
 * @param {Demo} element @param {Tools['chosen']} chosen @param {import('./timeline.js').Frame|null} [frame]
 */
export function shownOf(element, chosen, frame = element.timeline?.frame(element.position) ?? null) {
  const { description } = element;
  const heads = description ? headsOf(description) : frame?.heads ?? 1;
  const layers = Math.max(1, description?.layers.encoder ?? 0, description?.layers.decoder ?? 0, ...Object.values(frame?.layers ?? {}));
  const wanted = counted(element.getAttribute('layer')) || layers;
  const layer = Math.min(layers, wanted) - 1;
  const named = element.getAttribute('head');
  /** @type {number|'all'} */
  const which = named === 'all' ? named : counted(named) || 1;
  const head = which === 'all' ? which : Math.min(heads, which) - 1;
  return { layers, heads, layer, head, asked: chosen ?? { layer: wanted, head: which } };
}

/** Whether what comes next is still to be guessed. At the end of a run nothing is. @param {Element} element @param {{ uncovered: boolean }} tools @param {import('./timeline.js').Frame} frame */
export const isCovered = (element, { uncovered }, { settled }) => element.hasAttribute('covered') && !settled && !uncovered;

/**
 * What stands in the matrix's place, and what would: what tells what is covered gives its place back to the matrix.
 * @param {Element} element @param {Tools} tools @param {import('./timeline.js').Frame} frame
 */
function shownPlaceOf(element, tools, frame) {
  const place = placeOf(element, tools.machine);
  return PLACES[place]?.answers && isCovered(element, tools, frame) ? { place: '', veiled: place } : { place, veiled: '' };
}

/** Everything the views need, as one plain object. @param {Demo} element @param {Tools} tools */
export function drawnOf(element, tools) {
  const { machine, clock, painter, view, chosen, missing, wanted } = tools;
  const lang = chooseLanguage(element.lang, [document.documentElement.lang, ...navigator.languages]);
  const t = translator(lang);
  const { timeline } = machine;
  const { description, position, available, ended } = element;
  const base = timeline?.frame(position) ?? null;
  const { layers, heads, layer, head, asked } = shownOf(element, chosen, base);
  const main = base?.blocks.at(-1);
  // Answers that become shorter under the brush, or have only begun, leave the matrix its size; with another rule it is that
  // of its own answer.
  const rows = base && painter.on && machine.canRun ? rowsFor(base) : 0;
  const least = rows && painter.edits.length ? Math.max(tools.least, rows) : rows;
  const text = { rows: main?.wholeRows ?? 0, source: base?.sourceLength ?? 0 };
  const rule = cameTo(timeline?.rule ?? null, timeline?.prefixEnd ?? null, { ...text, writes: base?.architecture !== 'encoder' });
  const own = base && ['running', 'done'].includes(machine.phase) ? {
    ...base, heads, layers: { ...description && depthsOf(description), ...base.layers },
    view: { ...view, ...shownPlaceOf(element, tools, base), places: placesOf(machine), layer, head, asked, least, t },
    // Another run was begun, and has not come to where the clock stands.
    behind: base.waiting && position > base.position,
    cutText: machine.cutText, canForce: machine.canRun && !element.renewed,
    canBlank: machine.fills, verdict: machine.verdict, unseen: machine.unseen, most: element.hasAttribute('enlarged') ? 10 : 5, covered: isCovered(element, tools, base),
    specials: timeline?.signs.specials ?? new Set(), ran: timeline?.edits ?? [], before: timeline && isOther(timeline, base.blocks) ? machine.before(Math.min(position, base.length - 1)) : null,
    untrained: isUntrained(description ?? storedOf(timeline), rule, text), ruled: partsOf(rule), sources: sourcesOf(rule),
    description, device: machine.device,
    ...answersOf(element, tools), painting: paintingOf(element, tools, base.sourceLength),
  } : null;
  // What is under the brush stays there until it is let go: the run of an earlier stroke has its cells in other places.
  const under = /** @type {typeof own} */ (own && painter.under);
  const frame = under ? { ...under, painting: own.painting, view: { ...under.view, hover: view.hover, pinned: view.pinned, cell: view.cell } } : own;
  return {
    frame, t, lang, machine, missing, wanted, least, architecture: description?.architecture ?? base?.architecture ?? architectureOf(element),
    // Of what did not come nothing is known, and nothing is claimed.
    unknown: machine.phase === 'error' && !description && !base && !isNamed(element),
    model: modelOf(element, machine), called: calledIn(element, t),
    rule: partsOf(rule),
    parameters: description?.parameters ?? timeline?.header.model?.parameters ?? 0,
    show: viewsOf(element),
    enlargeable: element.hasAttribute('enlargeable'), enlarged: element.hasAttribute('enlarged'),
    controls: {
      names: (element.getAttribute('controls') ?? 'play step speed').split(/\s+/).filter((name) => name && name !== 'none'),
      playing: clock.playing, position, available, ended,
      speed: clock.speed, speeds: [0.5, 1, 2, 4], layer: layer + 1, layers, head: head === 'all' ? 'all' : head + 1, heads, t,
    },
  };
}

/** A model that is none of the page's own: its name and what it learned; of a stored run, as that tells. @param {Demo} element @param {import('./machine.js').Machine} machine */
function modelOf({ description }, machine) {
  if (description) return isOwn(description) ? null : { name: description.name, objective: description.objective, fills: machine.fills };
  const { header, length } = machine.timeline ?? {};
  const { name, objective } = header?.model ?? {};
  return name ? { name, objective, fills: Boolean(length) || Boolean(objective?.startsWith('masked')) } : null;
}

/** The masks that the page's own models were trained with. */
const MASKS = { encoder: { encoder: 'full' }, causal: { decoder: 'causal' }, prefix: { decoder: 'prefix' }, 'encoder-decoder': { encoder: 'full', decoder: 'causal', cross: 'full' } };

/** What a stored run of one of the page's own models tells of it; null of another's. @param {import('./timeline.js').Timeline|null} timeline */
export function storedOf(timeline) {
  const { family, architecture } = timeline?.header.model ?? {};
  return family && architecture ? { family, architecture, masks: MASKS[architecture] } : null;
}

/** What the engine answered for each place, whether that is of what is shown, and whether it is of another run. @param {Demo} element @param {Tools} tools @returns {any} */
function answersOf(element, { asks, machine, runKey }) {
  return Object.fromEntries(Object.entries(asks.all).map(([name, { on, result, error, waiting, of }]) => [name,
    { on, result, error, waiting: waiting || machine.phase !== 'done' || element.renewed || of !== runKey, old: of !== runKey }]));
}

/** One of the page's own kind stands beside the page's own where its files were handed over: there it says where it is from. @param {Demo} element */
function calledIn({ description, files, dataset: { from } }, t) {
  return description && files && from ? calledOf(description, from, t) : '';
}

/** Whether anything that is there attends otherwise than the model does. @param {import('./timeline.js').Timeline} timeline @param {import('./timeline.js').Block[]} blocks */
const isOther = ({ other, rule, silenced, edits }, blocks) => other && (rule !== null || silenced.length > 0 || within(edits, blocks).length > 0);

/** What a person changed, or may change, of how the model attends; of a stored run, what it was computed with. @param {Demo} element @param {Tools} tools @param {number} source how many tokens of it there are */
function paintingOf({ description }, { machine, painter }, source) {
  const can = machine.canRun;
  const { rule: asked, silenced } = painter.asked();
  const { timeline } = machine;
  const rule = (sourcesOf(asked) ?? 0) < source ? asked : mainOf(asked);
  return {
    can, on: can && painter.on, canUndo: can && painter.canUndo, edits: can ? painter.edits : timeline?.edits ?? [],
    rule: can ? rule : timeline?.rule ?? '', silenced: description ? fitting(readSilenced(silenced), description) : timeline?.silenced ?? [],
    own: ownName(description?.masks ?? {}), prefixEnd: machine.prefixEnd, turns: painter.turns,
  };
}

/**
 * All that a drawing depends on: while it stays the same (steps arriving that are not shown yet), nothing is drawn.
 * @param {ReturnType<typeof drawnOf>} drawn @param {any[]} counts of what has changed
 */
export function lookOf({ frame, machine, controls: { t, ...controls }, ...drawn }, counts) {
  const { t: words, ...view } = frame?.view ?? {};
  const shown = frame && [frame.canForce, ...counts, machine.forks, machine.looks, machine.plain !== null, frame[frame.view.place]?.waiting, frame.unseen, frame.position,
    frame.waiting, frame.settled, frame.covered, roomFor(frame.length, frame.ended), frame.cutText, frame.painting];
  return JSON.stringify([machine.phase, machine.progress, machine.error?.message, machine.device, machine.notice, machine.blanked, machine.verdict, shown, view, controls,
    drawn.lang, drawn.rule, drawn.called, drawn.missing, drawn.wanted, drawn.architecture, [...drawn.show], drawn.enlargeable, drawn.enlarged]);
}
