/**
 * The rules of a mask that a person can choose in place of a model's own, as the engine spells them: `full`, `causal`,
 * `prefix:4`, `window:3`, `documents:5`; in what writes, the last two never let it look ahead: `causal+window:3`. Pure.
 * `prefix` alone ends where the source does. How many tokens of the source a target may look at is told after it, or alone: `source:2`.
 *
 * @typedef {'full'|'causal'|'prefix'|'window'|'documents'} RuleName
 * @typedef {{ name: RuleName, n: number|null, back: boolean }} Rule   n: keys open to all, tokens that are near, the first token of
 *   the second text; back: whether rows never look ahead, but into a prefix
 */

/** @type {RuleName[]} */
const NAMES = ['full', 'causal', 'prefix', 'window', 'documents'];
const SPELLED = /^(?:(full|causal|prefix)|(prefix|(?:causal\+)?(?:window|documents)):([1-9]\d{0,3}))$/;

const SOURCES = /(?:^|\+)source:([1-9]\d{0,3})$/;

/** What it says of rows that see each other, without what it says of the source. @param {string|null|undefined} text */
export const mainOf = (text) => (text ?? '').replace(SOURCES, '');

/** How many tokens of the source a target may look at, the first ones; null = all. @param {string|null|undefined} text */
export const sourcesOf = (text) => (SOURCES.test(text ?? '') ? Number(SOURCES.exec(text ?? '')?.[1]) : null);

/** @param {string} main @param {number|null} sources */
export const join = (main, sources) => [main, sources === null ? '' : `source:${sources}`].filter(Boolean).join('+');

/** A rule as it is spelled, where it is one; it comes from anybody. @param {string|null|undefined} text @returns {string|undefined} */
export const readRule = (text) => (text && (SPELLED.test(mainOf(text)) || (mainOf(text) === '' && !text.startsWith('+'))) ? text : undefined);

/** A rule of an address, where a plus that nobody escaped stands for a blank. @param {string|null|undefined} text */
export const withPlus = (text) => (text ?? '').replaceAll(' ', '+');

/** @param {string|null|undefined} text @returns {Rule|null} */
export function partsOf(text) {
  const [, plain, numbered, n] = SPELLED.exec(mainOf(text)) ?? [];
  if (!plain && !numbered) return null;
  const name = NAMES.find((one) => (plain ?? numbered).endsWith(one));
  return name ? { name, n: n ? Number(n) : null, back: ['causal', 'prefix'].includes(name) || (numbered ?? '').startsWith('causal+') } : null;
}

/** @param {{ name: RuleName, n: number|null }} rule @param {boolean} back whether rows never look ahead: those that write on cannot see what is not written yet */
export function spell({ name, n }, back) {
  if (name === 'full' || name === 'causal' || n === null) return name;
  return `${back && name !== 'prefix' ? 'causal+' : ''}${name}:${n}`;
}

/** The name of the rule that a model was trained with. @param {Record<string, string>} masks of its attentions, as its description has them */
export const ownName = ({ encoder, decoder }) => (decoder ?? encoder ?? '').split(/[:+]/)[0];

/**
 * What is left of it where it names the model's own, or speaks of a source that the model has not: nothing is changed by that.
 * @param {string|undefined} text @param {Record<string, string>|undefined} masks of its attentions, as its description has them: one that ends with the source is `prefix:N`
 */
export function departing(text, masks) {
  if (!text || !masks) return text;
  const isOwn = mainOf(text) === (masks.decoder ?? masks.encoder ?? '').replace(':N', '');
  return join(isOwn ? '' : mainOf(text), masks.cross ? sourcesOf(text) : null) || undefined;
}

/** Those that differ from a model's own, with the one that is asked for; of a prefix it is where it ends that can be chosen. @param {string} own @param {string} [asked] @returns {RuleName[]} */
export const othersThan = (own, asked) => NAMES.filter((name) => name !== own || name === 'prefix' || name === asked);

/**
 * The name of the plainest rule that shows the same of a text: a window as wide as it is none.
 * @param {Rule} rule @param {{ rows: number, source: number, writes: boolean }} text
 */
export function plainest({ name, n, back }, { rows, source, writes }) {
  if (n === null) return name;
  if (name === 'prefix') return n >= rows && !writes ? 'full' : n === 1 ? 'causal' : n === source ? 'prefix' : null;
  return n >= rows ? (back ? 'causal' : 'full') : null;
}

/**
 * The rule that a run came to: a prefix that ended with all that there is hid nothing.
 * @param {string|null} text as it was asked for @param {number|null} end where its prefix ended, asked for by no number
 * @param {{ rows: number, source: number, writes: boolean }} run
 */
export function cameTo(text, end, run) {
  const isAll = mainOf(text) === 'prefix' && end !== null && plainest({ name: 'prefix', n: end, back: true }, run) === 'full';
  return isAll ? join('full', sourcesOf(text)) : text;
}

/** Whether it names a place in one sentence: in another it would be any place. @param {string} text */
export const isOfSentence = (text) => ['prefix', 'documents'].includes(partsOf(text)?.name ?? '') && partsOf(text)?.n !== null;

/** What is left of it for another sentence. @param {string} text */
export const leftOf = (text) => (isOfSentence(text) ? join('', sourcesOf(text)) : text);

/** Whether it may let rows see what is written after them, so that each step tells of all rows anew. @param {string|null|undefined} text */
export const opensAhead = (text) => /^(?:full$|prefix:|window:|documents:)/.test(mainOf(text));

/**
 * What n may be in a run, and what it is before anybody chose.
 * @param {RuleName} name @param {import('./timeline.js').Frame} frame
 * @returns {{ most: number, first: number }|null} null: the rule has none
 */
export function dialOf(name, { architecture, blocks, sourceLength }) {
  const rows = blocks.at(-1)?.wholeRows ?? 1;
  const isEncoder = architecture === 'encoder';
  const source = isEncoder ? rows : sourceLength;
  // All of an encoder's text open is no prefix: it begins with half of it.
  const end = Math.max(1, isEncoder ? rows - 1 : source);
  if (name === 'prefix') return { most: end, first: isEncoder ? Math.ceil(end / 2) : end };
  if (name === 'window') return { most: Math.max(1, rows), first: Math.min(3, Math.max(1, rows)) };
  if (name === 'documents') return { most: Math.max(1, rows - 1), first: Math.max(1, Math.floor(source / 2)) };
  return null;
}
