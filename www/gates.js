/**
 * Silenced heads: those whose output counts for nothing, while all else of the model stays as it is. Pure. As text, in
 * attributes and addresses, counted from 1 like the shown layer and head: `d6.3c2.1` is head 3 of layer 6 of the decoder and
 * head 1 of layer 2 of the attention across.
 *
 * @typedef {import('./edits.js').Site} Site
 * @typedef {{ site: Site, layer: number, head: number }} Head   counted from 0
 */

import { SITES } from './edits.js';
import { stackOf } from './models.js';

/** Of one machine. */
export const MOST_SILENCED = 256;
/** Characters of one: `c123.123`. */
export const LONGEST_SILENCED = 8;

/** None, where anything of it does not fit. @param {string|null|undefined} text @returns {Head[]} */
export function readSilenced(text) {
  const whole = String(text ?? '');
  if (whole.length > MOST_SILENCED * LONGEST_SILENCED || !/^(?:[edc][1-9]\d{0,2}\.[1-9]\d{0,2})+$/.test(whole)) return [];
  const heads = [...whole.matchAll(/([edc])(\d+)\.(\d+)/g)].map(([, letter, layer, head]) => ({ site: SITES[letter], layer: Number(layer) - 1, head: Number(head) - 1 }));
  const different = new Set(heads.map(({ site, layer, head }) => `${site} ${layer} ${head}`));
  return heads.length <= MOST_SILENCED && different.size === heads.length ? heads : [];
}

/** @param {Head[]} heads */
export function writeSilenced(heads) {
  const letters = Object.fromEntries(Object.entries(SITES).map(([letter, site]) => [site, letter]));
  return heads.slice(0, MOST_SILENCED).map(({ site, layer, head }) => `${letters[site]}${layer + 1}.${head + 1}`).join('');
}

/** @param {Head[]} heads @param {Head} one */
export const isSilent = (heads, one) => heads.some(({ site, layer, head }) => site === one.site && layer === one.layer && head === one.head);

/** All of these silenced; heard again, where all were silent. @param {Head[]} heads @param {Head[]} these @returns {Head[]} */
export function toggled(heads, these) {
  const others = heads.filter((one) => !isSilent(these, one));
  return these.every((one) => isSilent(heads, one)) ? others : [...others, ...these];
}

/**
 * Those of them that a model has.
 * @param {Head[]} heads
 * @param {{ masks: Record<string, string>, layers: Record<string, number>, heads: number, stacks?: Record<string, { layers: number, heads: number }> }} model
 * @returns {Head[]}
 */
export function fitting(heads, model) {
  return heads.filter(({ site, layer, head }) => {
    const stack = site in model.masks ? stackOf(model, site) : { layers: 0, heads: 0 };
    return layer < stack.layers && head < stack.heads;
  });
}

/** The gates of a request. @param {Head[]} heads of those that the model has @param {Parameters<typeof fitting>[1]} model @returns {import('./engine.js').Gates|undefined} */
export function gatesOf(heads, model) {
  /** @type {Record<string, number[][]>} */
  const gates = {};
  for (const { site, layer, head } of heads) {
    const { layers, heads: count } = stackOf(model, site);
    gates[site] ??= Array.from({ length: layers }, () => Array(count).fill(1));
    gates[site][layer][head] = 0;
  }
  return heads.length ? gates : undefined;
}
