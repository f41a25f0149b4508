/** What the element's attributes ask for, checked: they come from a page's author or from a link. */

import { readEdits } from './edits.js';
import { FLAGS } from './element-attributes.js';
import { readSilenced } from './gates.js';
import { departing, readRule } from './rules.js';
import { ARCHITECTURES, cleanText, isEmpty, readChoices } from './state.js';
import { TraceError, checkTrace } from './trace.js';

const number = (element, name, fallback, least, most) => {
  const text = element.getAttribute(name);
  const value = text === null || text.trim() === '' ? NaN : Number(text);
  return Number.isFinite(value) ? Math.min(most, Math.max(least, value)) : fallback;
};

/** Which machine it is to be, where nothing else says it: a word that its author may have mistyped. */
export function checkArchitecture(element) {
  const named = element.getAttribute('architecture');
  if (!named || ARCHITECTURES.includes(named)) return;
  const [what, expected, got] = ['architecture', ARCHITECTURES.join(', '), `\`${named.slice(0, 40)}\``];
  throw Object.assign(new Error(`\`${what}\`: expected one of ${expected}, got ${got}`), { kind: 'input', what, expected, got });
}

/** The id of a token. @param {string|null} text */
export const token = (text) => (/^\d{1,9}$/.test(text ?? '') ? Number(text) : undefined);

/** Words of an encoder's sentence, however a list of them is spelled; null: nobody says. @param {string|null} text */
export const readBlanks = (text) => text?.split(/[\s,.]+/).filter((word) => /^\d{1,3}$/.test(word)).map(Number) ?? null;

/** Of all that is drawn by lot. @param {Element} element */
export const seedOf = (element) => Math.trunc(number(element, 'seed', 1, 0, 999_999_999));

/** The rule that is asked for in place of the model's own. @param {Pick<import('./element.js').UnmaskedDemo, 'getAttribute'|'description'>} element */
export const ruleOf = (element) => departing(readRule(element.getAttribute('mask')), element.description?.masks);

/** @returns {import('./machine.js').Settings} */
export function settingsOf(element) {
  const pair = element.getAttribute('pair') ?? '';
  const temperature = number(element, 'temperature', 0, 0, 5);
  const sampling = temperature > 0 ? {
    temperature,
    topK: Math.trunc(number(element, 'topk', 0, 0, 1e6)) || undefined,
    topP: number(element, 'topp', 1, 0.01, 1),
    seed: seedOf(element),
  } : undefined;
  if (sampling && sampling.topK === undefined) delete sampling.topK;
  return {
    text: cleanText(element.getAttribute('text') ?? ''),
    pair: isEmpty(pair) ? undefined : pair,
    blanks: readBlanks(element.getAttribute('blanks')),
    fill: element.getAttribute('fill') === 'confidence' ? 'confidence' : 'parallel',
    sampling,
    rule: ruleOf(element),
    language: token(element.getAttribute('language')),
    sourceLanguage: token(element.getAttribute('sourcelanguage')),
    forced: readChoices(element.getAttribute('forced')),
    edits: readEdits(element.getAttribute('edits')),
    silenced: readSilenced(element.getAttribute('silenced')),
    maxNewTokens: Math.trunc(number(element, 'max', 40, 1, 512)),
    candidates: 10,
  };
}

/** Attributes that a scene may set; a stored file must not reach for anything else, such as another place to load from. */
const SCENE = ['architecture', 'family', 'text', 'pair', 'blanks', 'fill', 'forced', 'language', 'sourcelanguage', 'temperature', 'topk', 'topp', 'seed', 'max', 'layer', 'head', 'view', 'look', 'exchange', 'way', 'mask', 'edits', 'silenced', 'start', 'covered'];

/**
 * The stored run or the scene that the element names; a scene's settings are applied where the page gave none.
 * @param {Element} element
 * @param {(name: string, value: string) => void} [give] sets an attribute that the page left open
 * @returns {Promise<object|null>} the trace, with `steps` where it can be played without an engine
 */
export async function readScene(element, give = (name, value) => element.setAttribute(name, value)) {
  const address = element.getAttribute('trace') ?? element.getAttribute('scene');
  if (!address) return null;
  const name = element.hasAttribute('trace') ? 'trace' : 'scene';
  const response = await fetch(new URL(address, document.baseURI)).catch(() => null);
  if (!response?.ok) throw new TraceError(`the ${name} could not be loaded (${response ? `status ${response.status}` : 'no answer'})`);
  let trace;
  try {
    trace = await response.json();
  } catch {
    throw new TraceError(`the ${name} is not JSON`);
  }
  if (typeof trace !== 'object' || trace === null) throw new TraceError(`the ${name} is not an object`);
  if (name === 'trace' && !Array.isArray(trace.steps)) throw new TraceError('the trace has no steps to play');
  // A text that was only read has no steps, and is a run all the same.
  const plays = Array.isArray(trace.steps) && (trace.steps.length > 0 || name === 'trace' && Array.isArray(trace.tokens));
  if (plays) checkTrace(trace);
  const settings = typeof trace.scene === 'object' ? trace.scene ?? {} : {};
  for (const [key, value] of Object.entries(settings)) {
    const attribute = key.toLowerCase();
    // Of a flag it counts whether it is there.
    const said = FLAGS.includes(attribute) ? [true, 'true'].includes(value) : ['string', 'number'].includes(typeof value);
    if (SCENE.includes(attribute) && said && !element.hasAttribute(attribute)) give(attribute, String(value));
  }
  return { ...trace, steps: plays ? trace.steps : undefined };
}
