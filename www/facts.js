/**
 * What a model is, in words: from the engine's description alone, so that nothing here is a guess. Pure.
 *
 * @typedef {{ layers: number, distinct_layers: number, heads: number, kv_heads: number, head_width: number,
 *   feed_forward_width: number, activation: string, gated: boolean, norm: 'layer'|'rms', order: 'pre'|'post'|'parallel',
 *   positions: { kind: string, streams?: number, dims?: number, parts?: number, buckets?: number, max_distance?: number } }} Stack
 * @typedef {{ task: string, trained: 'yes'|'no'|'untold', prefixes?: string[], blanks?: string[],
 *   languages?: Array<{ id: number, code: string }>, source_language?: { id: number, code: string }, labels?: string[], pair: boolean }} Task
 * @typedef {{ family: string, name: string, architecture: string, parameters: number, vocabulary: number, width: number,
 *   max_positions: number, stacks: Record<string, Stack>, stored: { formats: string[], bytes: number, tied?: boolean },
 *   tasks: Task[], masks: Record<string, string>, pretrained_as?: string, objective?: string }} Description
 */

import { bytesOf } from './amounts.js';

/** 124.4 M, 61 thousand: as people say it. */
export function amount(number, t) {
  if (number >= 1e9) return t('fact.billion', { n: (number / 1e9).toFixed(2) });
  if (number >= 1e6) return t('fact.million', { n: (number / 1e6).toFixed(1) });
  return number >= 1e4 ? t('fact.thousand', { n: (number / 1e3).toFixed(1) }) : String(number);
}

/** Its stacks in the order in which a text passes them. @param {Description} description @returns {Array<[string, Stack]>} */
const stacksOf = ({ stacks }) => ['encoder', 'decoder'].flatMap((site) => (stacks[site] ? [/** @type {[string, Stack]} */ ([site, stacks[site]])] : []));

/** Once where both stacks agree, else each with its name. @param {Description} description @param {(stack: Stack) => string} say */
function both(description, say, t) {
  const said = stacksOf(description).map(([site, stack]) => [site, say(stack)]);
  if (said.every(([, text]) => text === said[0][1])) return said[0][1];
  return said.map(([site, text]) => t('fact.of', { site: t(`block.${site}`), text })).join('; ');
}

/** In a line: parameters, layers, heads. @param {Description} description */
export function shortOf(description, t) {
  const stacks = stacksOf(description).map(([, stack]) => stack);
  const layers = stacks.map((stack) => stack.layers).join(' + ');
  const heads = [...new Set(stacks.map((stack) => stack.heads))].join(' + ');
  return t('fact.short', { parameters: amount(description.parameters, t), layers, heads });
}

function layersOf({ layers, distinct_layers: distinct }, t) {
  return distinct < layers ? t('fact.layers.shared', { n: layers, of: distinct }) : String(layers);
}

function positionsOf({ positions, head_width: width }, t) {
  const { kind, streams, dims, parts, buckets, max_distance: distance } = positions;
  const said = [t(`fact.positions.${kind}`, { buckets, distance })];
  if (kind === 'rotary' && dims < width) said.push(t('fact.positions.some', { n: dims, of: width }));
  if ((streams ?? parts ?? 1) > 1) said.push(t('fact.positions.two'));
  return said.join(', ');
}

/**
 * The lines of a card.
 * @param {Description} description
 * @param {string} licence as the model's own card names it; '' where it does not
 * @returns {Array<[string, string]>} what, and what it is
 */
export function factsOf(description, licence, t) {
  const { stored, tasks } = description;
  const stacks = stacksOf(description);
  const all = stacks.map(([, stack]) => stack);
  const can = tasks.filter(({ trained }) => trained === 'yes').map(({ task }) => t(`task.${task}`));
  const some = (which) => tasks.filter(({ trained }) => trained === which).map(({ task }) => t(`task.${task}`)).join(t('fact.comma'));
  const list = [
    ['family', `${description.name} (${description.family})`],
    ['parameters', amount(description.parameters, t)],
    ['layers', stacks.length > 1 ? stacks.map(([site, stack]) => t('fact.of', { site: t(`block.${site}`), text: layersOf(stack, t) })).join('; ') : layersOf(all[0], t)],
    ['heads', both(description, ({ heads, head_width: width }) => t('fact.heads.of', { n: heads, width }), t)],
    ['kv', all.some((stack) => stack.kv_heads !== stack.heads) ? both(description, ({ kv_heads: n }) => String(n), t) : ''],
    ['width', both(description, (stack) => t('fact.width.inner', { width: description.width, inner: stack.feed_forward_width }), t)],
    ['feed-forward', both(description, ({ activation, gated }) => t(gated ? 'fact.gated' : 'fact.plain', { activation: t(`fact.activation.${activation}`) }), t)],
    ['positions', t('fact.positions.most', { kind: both(description, (stack) => positionsOf(stack, t), t), n: description.max_positions })],
    ['norm', both(description, ({ norm, order }) => t(`fact.order.${order}`, { norm: t(`fact.norm.${norm}`) }), t)],
    ['output', t(stored.tied === undefined ? 'fact.output.none' : stored.tied ? 'fact.output.tied' : 'fact.output.own')],
    ['vocabulary', String(description.vocabulary)],
    ['stored', `${stored.formats.join(' + ').toLowerCase()}, ${bytesOf(stored.bytes)}`],
    ['licence', licence || t('fact.licence.none')],
    ['can', can.join(t('fact.comma'))],
    ['untold', some('untold')],
    ['cannot', some('no')],
  ];
  return list.filter(([, text]) => text !== '').map(([name, text]) => [t(`fact.${name}`), text]);
}
