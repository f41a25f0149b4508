/**
 * The rule of a machine's mask, to be chosen: its own, or another, and how far that one reaches; and how much of the source a target sees. For who changes masks.
 *
 * @typedef {import('./mask.js').Drawn} Drawn
 */

import { make, part, setAttribute, setAttributes, setText } from './dom.js';
import { drawChoice } from './controls.js';
import { dialOf, othersThan, partsOf, sourcesOf } from '../rules.js';
import { showPieces } from '../pieces.js';

/** The architecture whose words say a rule. A prefix that ends elsewhere than the source has words of its own. */
const SAID = { full: 'machine.encoder.mask', causal: 'machine.causal.mask', prefix: 'machine.prefix.mask' };

/** What a rule means, as a sentence of the dictionary. @param {{ name: import('../rules.js').RuleName, n: number|null }} rule */
const sayRule = ({ name, n }) => (n === null ? SAID[name] : null) ?? `mask.${name}`;

/** Of three masks a rule is that of the target's rows alone. @param {import('../rules.js').Rule} rule @param {string} architecture @param {(key: string, values?: object) => string} t */
export const sayChosen = (rule, architecture, t) => (architecture === 'encoder-decoder' ? t('mask.target', { rule: t(sayRule(rule)) }) : t(sayRule(rule)));

/** The rule of what an architecture was trained with, where one says it all. @type {Record<string, string>} */
const OWN = { encoder: 'full', causal: 'causal' };

/** Whether what is painted makes the rule's sentence untrue: of two that say one thing of all cells, only the opposite does. @param {string|undefined} name @param {import('../edits.js').Edit[]} edits */
const isExcepted = (name, edits) => edits.some(({ visible }) => (name === 'full' ? !visible : name === 'causal' ? visible : true));

/**
 * Who sees whom in a run, as far as a sentence can say it.
 * @param {string} architecture @param {import('../rules.js').Rule|null} rule in place of its own
 * @param {{ edits: import('../edits.js').Edit[], sources: number|null, sourceLength: number, t: (key: string, values?: object) => string }} run   edits: those that lie within it; sources: how many tokens of the source are seen
 */
export function sayMask(architecture, rule, { edits, sources, sourceLength, t }) {
  const isWired = architecture === 'encoder-decoder';
  const isCut = isWired && sources !== null && sources < sourceLength;
  const main = rule || isCut ? sayChosen(rule ?? { name: 'causal', n: null, back: true }, architecture, t) : t(`machine.${architecture}.mask`);
  const said = isCut ? t('mask.across', { rule: main, n: sources, of: sourceLength }) : main;
  return isExcepted(isWired ? undefined : rule?.name ?? OWN[architecture], edits) ? t('mask.except', { rule: said }) : said;
}

/** The rules that a machine can be given; what a target sees of itself has no source to end at. */
const choicesOf = ({ architecture, painting: { own, rule } }) => othersThan(own, partsOf(rule)?.name)
  .filter((name) => architecture !== 'encoder-decoder' || !['prefix', 'documents'].includes(name) || name === partsOf(rule)?.name);

/** @param {Element} target @param {Drawn} frame */
export function draw(target, frame) {
  const { view: { t }, painting: { on, rule } } = frame;
  setAttribute(target, 'hidden', !on);
  if (!on) return;
  const choice = part(target, 'rule', () => make('label', { class: 'chooser' }, make('span', { class: 'unseen' }), make('select', { 'data-action': 'rule' })));
  const chosen = partsOf(rule);
  /** @type {Array<[any, string]>} */
  const rules = [['', t('mask.own')], ...choicesOf(frame).map((name) => /** @type {[any, string]} */ ([name, t(sayRule({ name, n: dialOf(name, frame)?.first ?? null }))]))];
  drawChoice(choice, t(frame.architecture === 'encoder-decoder' ? 'mask.of.target' : 'about.mask'), rules, chosen?.name ?? '');
  const range = chosen && dialOf(chosen.name, frame);
  const n = chosen?.n ?? frame.painting.prefixEnd ?? range?.first ?? 1;
  drawDial(target, 'far', 'dial', frame, chosen && range && { n, most: range.most, name: t(`mask.${chosen.name}.dial`), text: sayReach(frame, chosen, n) });
  const of = frame.sourceLength;
  const seen = Math.min(of, sourcesOf(rule) ?? of);
  drawDial(target, 'sources', 'sources', frame, frame.architecture !== 'encoder-decoder' ? null
    : { n: seen, most: of, name: t('mask.source.dial'), text: t(seen < of ? 'mask.source.far' : 'mask.source.all', { n: seen, of }) });
}

/** @param {Element} target @param {string} name @param {string} action @param {Drawn} frame @param {{ n: number, most: number, name: string, text: string }|null} shown null: there is nothing to turn */
function drawDial(target, name, action, { painting: { turns } }, shown) {
  const dial = part(target, name, () => make('label', { class: 'dial' }, make('input', { type: 'range', min: 1, step: 1, 'data-action': action }), make('output')));
  setAttribute(dial, 'hidden', !shown);
  if (!shown) return;
  const { n, most, text } = shown;
  const [input, output] = dial.children;
  // A run may be longer or shorter, and its dial another: not under the finger.
  setAttributes(input, { max: turns ? input.max : Math.max(most, n), 'aria-label': shown.name });
  if (Number(input.value) !== n) input.value = String(n);
  setText(output, text);
  setAttribute(input, 'aria-valuetext', text);
}

/** Where it ends, by the tokens themselves. @param {any} frame @param {import('../rules.js').Rule} rule @param {number} n */
export function sayReach({ architecture, read, target, view: { t } }, { name, back }, n) {
  const pieces = showPieces(architecture === 'encoder-decoder' ? target : [...read, ...target]);
  // What is not written yet has only its place.
  const at = name === 'prefix' ? n - 1 : n;
  const piece = pieces[at]?.text ?? `#${at + 1}`;
  return t(`mask.${name}.far${name === 'window' && !back ? '.both' : ''}`, { n: n - 1, piece });
}
