/**
 * Painted cells of a mask: what a person changed of who may see whom. Pure. As text, in attributes and addresses:
 * `d5.3h4.2s` is, in the decoder, row 5 made blind to key 3 (h: hidden) and row 4 let see key 2 (s: seen).
 *
 * @typedef {'encoder'|'decoder'|'cross'} Site
 * @typedef {{ site: Site, row: number, key: number, visible: boolean }} Edit
 * @typedef {Record<string, { rule?: string, edits?: Array<{ row: number, key: number, visible: boolean }> }>} Masks   a request's
 */

/** The attentions of a model, by their letters. @type {Record<string, Site>} */
export const SITES = { e: 'encoder', d: 'decoder', c: 'cross' };
const LETTERS = Object.fromEntries(Object.entries(SITES).map(([letter, site]) => [site, letter]));
/** Of one machine. */
export const MOST_EDITS = 256;
/** Characters of one: `c1234.1234h`. */
export const LONGEST_EDIT = 11;

/** None, where anything of it does not fit, or a cell is named twice. @param {string|null|undefined} text @returns {Edit[]} */
export function readEdits(text) {
  const whole = String(text ?? '');
  if (whole.length > MOST_EDITS * LONGEST_EDIT || !/^(?:[edc](?:\d{1,4}\.\d{1,4}[hs])+)+$/.test(whole)) return [];
  /** @type {Site} */
  let site = 'decoder';
  const edits = [...whole.matchAll(/([edc])?(\d+)\.(\d+)([hs])/g)].map(([, letter, row, key, sign]) => {
    if (letter) site = SITES[letter];
    return { site, row: Number(row), key: Number(key), visible: sign === 's' };
  });
  const cells = new Set(edits.map(({ site: of, row, key }) => `${of} ${row} ${key}`));
  return edits.length <= MOST_EDITS && cells.size === edits.length ? edits : [];
}

/** @param {Edit[]} edits */
export function writeEdits(edits) {
  return Object.entries(LETTERS).map(([site, letter]) => {
    const here = edits.filter((edit) => edit.site === site).map(({ row, key, visible }) => `${row}.${key}${visible ? 's' : 'h'}`);
    return here.length ? letter + here.join('') : '';
  }).join('');
}

const isAt = (edit, { site, row, key }) => edit.site === site && edit.row === row && edit.key === key;

/** The edit of a cell, where it has one. @param {Edit[]} edits @returns {Edit|null} */
export const editAt = (edits, cell) => edits.find((edit) => isAt(edit, cell)) ?? null;

/**
 * One cell painted. Where it comes back to what the rule says no edit is left of it.
 * @param {Edit[]} edits
 * @param {{ site: Site, row: number, key: number }} cell
 * @param {boolean} visible what it is to be
 * @param {boolean} ruled what the rule says of it
 * @returns {Edit[]}
 */
export function paint(edits, cell, visible, ruled) {
  const others = edits.filter((edit) => !isAt(edit, cell));
  if (visible === ruled || others.length >= MOST_EDITS) return others;
  return [...others, { site: cell.site, row: cell.row, key: cell.key, visible }];
}

/**
 * The masks of a request under these edits; those that lie outside of the context, or at no attention that the model has, do nothing.
 * @param {Edit[]} edits
 * @param {Masks|undefined} mask the rules that are asked for in place of the model's own
 * @param {{ sites: string[], most: number }} model its attentions, and the rows of its context
 * @returns {Masks|undefined}
 */
export function maskUnder(edits, mask, { sites, most }) {
  const fitting = edits.filter(({ site, row, key }) => sites.includes(site) && row < most && key < most);
  if (!fitting.length) return mask;
  const whole = { ...mask };
  for (const { site, row, key, visible } of fitting) {
    const here = whole[site]?.edits ?? [];
    whole[site] = { ...whole[site], edits: [...here, { row, key, visible }] };
  }
  return whole;
}

/** Of an address painted cells may lie outside of what is there. @param {Edit[]} edits @param {import('./timeline.js').Block[]} blocks */
export const within = (edits, blocks) => edits.filter((edit) => blocks.some((block) => block.name === edit.site && edit.row < block.wholeRows && edit.key < block.wholeKeys));

/** The cells on the way from one to another, both with it: a pointer that moves fast skips none. */
export function between(from, to) {
  const steps = Math.max(Math.abs(to.row - from.row), Math.abs(to.key - from.key));
  return Array.from({ length: steps + 1 }, (_, at) => {
    const share = steps ? at / steps : 0;
    return { row: Math.round(from.row + share * (to.row - from.row)), key: Math.round(from.key + share * (to.key - from.key)) };
  });
}
