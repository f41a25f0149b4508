/**
 * The page's state as a URL hash. The hash comes from anybody: every field is checked, cut and clamped,
 * and what does not fit is left at its default.
 */

import { LONGEST_EDIT, MOST_EDITS, readEdits } from './edits.js';
import { LONGEST_SILENCED, MOST_SILENCED, readSilenced } from './gates.js';
import { readSpot } from './leak.js';
import { isWay } from './objective.js';
import { readRule, withPlus } from './rules.js';

export const ARCHITECTURES = ['encoder', 'causal', 'prefix', 'encoder-decoder'];
/** What may stand in a matrix's place. */
export const LOOKS = ['table', 'reach', 'leak', 'blanks', 'cost', 'objective'];
export const SPEEDS = [0.5, 1, 2, 4];
export const LONGEST_TEXT = 2000;

/**
 * @typedef {object} PageState
 * @property {string|null} text   the sentence; null = the first example
 * @property {string|null} pair   a second sentence for the encoder to compare; null = none
 * @property {string[]|null} on   architectures switched on; null = the page's choice
 * @property {string} family      which quartet, such as 'en-fr'; '' = the first
 * @property {number} layer       1-based; 0 = the page's choice
 * @property {number|'all'} head  1-based; 0 = the page's choice
 * @property {number} temperature 0 = greedy
 * @property {number} topK        0 = off
 * @property {number} topP        1 = off
 * @property {number} seed
 * @property {'parallel'|'confidence'} fill
 * @property {number[]|null} blanks  word indices of the encoder's blanks; null = the page's choice
 * @property {Record<string, string>|null} forced  of each architecture the forced choices, as its element reads them; null = none
 * @property {Record<string, string>|null} mask  of each architecture the rule in place of its own mask's, as its element reads it; null = none
 * @property {Record<string, string>|null} edits  of each architecture the painted cells of its mask, as its element reads them; null = none
 * @property {Record<string, string>|null} silenced  of each architecture the heads that are silent, as its element reads them; null = none
 * @property {Record<string, string>|null} look  of each architecture what stands in the matrix's place; null = nothing
 * @property {Record<string, string>|null} exchange  of each architecture the token that its leak test exchanges, as its element reads it; null = nobody chose
 * @property {Record<string, string>|null} way  of each architecture the way to train that is shown of it; null = nobody chose
 * @property {string} large  the architecture that has the page to itself; '' = none
 * @property {boolean} present    nothing but the stage, in large type
 * @property {boolean} cover      candidates are covered until a person asks for them
 * @property {string} lesson     the lesson that is on; '' = none
 * @property {'auto'|'webgpu'|'cpu'} device
 * @property {'on'|'off'} keys    whether single letters are keys of the whole page
 * @property {string} lang        '' = the browser's
 * @property {'auto'|'light'|'dark'} theme
 * @property {number} step
 * @property {number} speed
 */

/** @returns {PageState} */
export function defaults() {
  return {
    text: null, pair: null, on: null, family: '', layer: 0, head: 0, temperature: 0, topK: 0, topP: 1, seed: 1,
    fill: 'parallel', blanks: null, forced: null, mask: null, edits: null, silenced: null, look: null, exchange: null, way: null, large: '', present: false, cover: false, lesson: '', device: 'auto', keys: 'on', lang: '', theme: 'auto', step: 0, speed: 1,
  };
}

const whole = (least, most) => (text) => {
  if (!/^\d{1,9}$/.test(text)) return undefined;
  return Math.min(most, Math.max(least, Number(text)));
};
const real = (least, most) => (text) => {
  if (!/^\d{1,4}(\.\d{1,4})?$/.test(text)) return undefined;
  return Math.min(most, Math.max(least, Number(text)));
};
const flag = (text) => (['1', 'true'].includes(text) ? true : undefined);
const oneOf = (...names) => (text) => (names.includes(text) ? text : undefined);

/** Fields that hold something of each architecture. */
const OF_EACH = ['forced', 'mask', 'edits', 'silenced', 'look', 'exchange', 'way'];

/** The architectures that a state says something of. @param {PageState} state */
export const namedIn = (state) => ARCHITECTURES.filter((name) => name === state.large || OF_EACH.some((field) => state[field]?.[name]));

/** Something of each architecture, where it is as it should be: `causal.2.117_prefix.0.9`, `causal.full_prefix.causal+window:3`. @param {(text: string) => boolean} fits */
const ofEach = (fits) => (/** @type {string} */ text) => {
  const read = Object.fromEntries(text.split('_').flatMap((one) => {
    const [, name, value] = /^([a-z-]+)\.([a-z\d.:+]+)$/.exec(one) ?? [];
    return ARCHITECTURES.includes(name) && fits(value) ? [[name, value]] : [];
  }));
  return Object.keys(read).length ? read : undefined;
};

const FIELDS = {
  text: (text) => cleanText(text),
  pair: (text) => (isEmpty(text) ? undefined : cleanText(text)),
  on: (text) => {
    const names = ARCHITECTURES.filter((name) => text.split(',').includes(name));
    return names.length || text === 'none' ? names : undefined;
  },
  family: (text) => (/^[a-z0-9-]{1,40}$/.test(text) ? text : undefined),
  layer: whole(0, 999),
  head: (text) => (text === 'all' ? 'all' : whole(0, 999)(text)),
  temperature: real(0, 5),
  topK: whole(0, 1_000_000),
  topP: real(0.01, 1),
  seed: whole(0, 999_999_999),
  fill: oneOf('parallel', 'confidence'),
  blanks: (text) => {
    if (text === '') return [];
    if (!/^\d{1,3}(\.\d{1,3}){0,63}$/.test(text)) return undefined;
    return [...new Set(text.split('.').map(Number))].sort((a, b) => a - b);
  },
  forced: ofEach((choices) => readChoices(choices).length > 0),
  mask: (text) => ofEach((rule) => readRule(rule) !== undefined)(withPlus(text)),
  edits: ofEach((edits) => readEdits(edits).length > 0),
  silenced: ofEach((heads) => readSilenced(heads).length > 0),
  look: ofEach((look) => LOOKS.includes(look)),
  exchange: ofEach((spot) => readSpot(spot) !== null),
  way: ofEach(isWay),
  large: oneOf(...ARCHITECTURES),
  present: flag,
  cover: flag,
  lesson: (text) => (/^[a-z-]{1,24}$/.test(text) ? text : undefined),
  device: oneOf('auto', 'webgpu', 'cpu'),
  keys: oneOf('on', 'off'),
  lang: oneOf('en', 'zh'),
  theme: oneOf('auto', 'light', 'dark'),
  step: whole(0, 9999),
  speed: (text) => (SPEEDS.includes(Number(text)) ? Number(text) : undefined),
};

/** Of one run. */
const MOST_CHOICES = 64;

/**
 * Forced choices, as steps and the ids that they chose: '2.117.5.33'. None, where anything of it does not fit.
 * @param {string|null} text
 * @returns {Array<[number, number]>}
 */
export function readChoices(text) {
  if (!/^\d{1,4}\.\d{1,9}(\.\d{1,4}\.\d{1,9})*$/.test(text ?? '')) return [];
  const numbers = String(text).split('.').map(Number);
  const choices = numbers.flatMap((step, at) => (at % 2 ? [] : [/** @type {[number, number]} */ ([step, numbers[at + 1]])]));
  return choices.length <= MOST_CHOICES && choices.every(([step], at) => at === 0 || step > choices[at - 1][0]) ? choices : [];
}

/** @param {Array<[number, number]>} choices */
export const writeChoices = (choices) => choices.slice(0, MOST_CHOICES).flat().join('.');

/** The sentence and its second one, up to nine signs (`%E4%BD%A0`) a character, forced choices, painted cells, and all else. */
const LONGEST_HASH = 2 * 9 * LONGEST_TEXT + ARCHITECTURES.length * (MOST_CHOICES * 15 + MOST_EDITS * LONGEST_EDIT + MOST_SILENCED * LONGEST_SILENCED + 80) + 1000;

/** Cuts to a sane length without splitting a character; lines become spaces. */
export function cleanText(text) {
  const line = String(text).replace(/[\r\n\t]+/g, ' ').replaceAll('\0', '');
  return line.length <= LONGEST_TEXT ? line : line.slice(0, LONGEST_TEXT).replace(/[\uD800-\uDBFF]$/, '');
}

/** Nothing of it can be seen. @param {string} text */
export const isEmpty = (text) => !/[^\s\p{Cc}\p{Cf}]/u.test(text);

/**
 * @param {string} hash with or without '#'
 * @returns {PageState}
 */
export function readHash(hash) {
  const state = defaults();
  let fields;
  try {
    fields = new URLSearchParams(String(hash).slice(0, LONGEST_HASH).replace(/^#/, ''));
  } catch {
    return state;
  }
  for (const [name, read] of Object.entries(FIELDS)) {
    const text = fields.get(name);
    if (text === null) continue;
    const value = read(text);
    if (value !== undefined) state[name] = value;
  }
  return state;
}

/**
 * Only what differs from the defaults, so that links stay short.
 * @param {PageState} state
 */
export function writeHash(state) {
  const plain = defaults();
  const fields = new URLSearchParams();
  for (const name of Object.keys(FIELDS)) {
    const value = state[name];
    // A sentence may be the word that nothing is written as.
    if (value === null || plain[name] !== null && String(value) === String(plain[name])) continue;
    fields.set(name, textOf(name, value));
  }
  const text = fields.toString();
  return text === '' ? '' : `#${text}`;
}

/** Whether all that a state says is which lesson is on: whose language, look, keys and device it is matters nothing. @param {PageState} state */
export function isLessonAlone(state) {
  const { lang, theme, keys, device, present, lesson } = defaults();
  return state.lesson !== '' && writeHash({ ...state, lang, theme, keys, device, present, lesson }) === '';
}

function textOf(name, value) {
  if (name === 'blanks') return value.join('.');
  if (OF_EACH.includes(name)) return Object.entries(value).map((one) => one.join('.')).join('_');
  if (value === true) return '1';
  if (name === 'on') return value.length ? value.join(',') : 'none';
  return String(value);
}
