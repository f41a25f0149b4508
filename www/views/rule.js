/**
 * The rule of a machine's mask, to be chosen: its own, or another, and how far that one reaches. For who changes masks.
 *
 * @typedef {import('./mask.js').Drawn} Drawn
 */

import { make, part, setAttribute, setAttributes, setText } from './dom.js';
import { drawChoice } from './controls.js';
import { othersThan, partsOf, reachOf } from '../rules.js';
import { showPieces } from '../pieces.js';

/** The architecture whose words say a rule. A prefix that ends elsewhere than the source has words of its own. */
const SAID = { full: 'machine.encoder.mask', causal: 'machine.causal.mask', prefix: 'machine.prefix.mask' };

/** What a rule means, as a sentence of the dictionary. @param {{ name: import('../rules.js').RuleName, n: number|null }} rule */
export const sayRule = ({ name, n }) => (n === null ? SAID[name] : null) ?? `mask.${name}`;

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
  const rules = [['', t('mask.own')], ...choicesOf(frame).map((name) => /** @type {[any, string]} */ ([name, t(sayRule({ name, n: reachOf(name, frame)?.first ?? null }))]))];
  drawChoice(choice, t('about.mask'), rules, chosen?.name ?? '');
  const dial = part(target, 'reach', () => make('label', { class: 'reach' }, make('input', { type: 'range', min: 1, step: 1, 'data-action': 'reach' }), make('output')));
  const reach = chosen && reachOf(chosen.name, frame);
  setAttribute(dial, 'hidden', !reach);
  if (!chosen || !reach) return;
  const [input, output] = dial.children;
  const n = chosen.n ?? frame.painting.reach ?? reach.first;
  // A run may be longer or shorter, and its dial another: not under the finger.
  setAttributes(input, { max: frame.painting.turns ? input.max : Math.max(reach.most, n), 'aria-label': t(`mask.${chosen.name}.dial`) });
  if (Number(input.value) !== n) input.value = String(n);
  const text = sayReach(frame, chosen.name, n);
  setText(output, text);
  setAttribute(input, 'aria-valuetext', text);
}

/** Where it ends, by the tokens themselves. @param {any} frame @param {import('../rules.js').RuleName} name @param {number} n */
export function sayReach({ architecture, read, target, view: { t } }, name, n) {
  const pieces = showPieces(architecture === 'encoder-decoder' ? target : [...read, ...target]);
  // What is not written yet has only its place.
  const at = name === 'prefix' ? n - 1 : n;
  const piece = pieces[at]?.text ?? `#${at + 1}`;
  return t(`mask.${name}.reach${name === 'window' && architecture === 'encoder' ? '.both' : ''}`, { n: n - 1, piece });
}
