/**
 * The shown head, or all heads of the shown layer, to be silenced: a button for each attention that has it.
 *
 * @typedef {import('./mask.js').Drawn} Drawn
 */

import { make, part, reuse, setAttribute, setAttributes, setText } from './dom.js';
import { isSilent } from '../gates.js';

/** The heads of a block that are shown. @param {Drawn} frame @param {string} name @returns {import('../gates.js').Head[]} */
export function headsShown({ heads, layers, view: { layer, head } }, name) {
  const at = Math.min(layer, (layers[name] ?? 1) - 1);
  const all = head === 'all' ? Array.from({ length: Math.max(1, heads) }, (_, one) => one) : [head];
  return all.map((one) => ({ site: /** @type {import('../edits.js').Site} */ (name), layer: at, head: one }));
}

/**
 * What is said above the buttons, and on each. One of two stacks may have fewer layers: its button says which layer it silences.
 * @param {Drawn} frame @returns {{ words: string, names: string[] }}
 */
export function silencesOf(frame) {
  const { view: { t, head }, blocks, layers } = frame;
  const shown = blocks.map(({ name }) => headsShown(frame, name)[0].layer);
  const isOne = shown.every((layer) => layer === shown[0]);
  const words = t(`silence.${head === 'all' ? 'layer' : 'head'}${isOne ? '' : '.each'}`, { layer: shown[0] + 1, head: Number(head) + 1 });
  const named = blocks.map(({ name }, at) => [t(`block.${name}`), ...isOne ? [] : [t('less.layer', { n: shown[at] + 1, of: layers[name] })]].join(' '));
  return { words, names: blocks.length === 1 ? [words] : named };
}

/** @param {Element} target @param {Drawn} frame */
export function draw(target, frame) {
  const { painting: { on, silenced }, blocks } = frame;
  if (!on) return;
  const box = part(target, 'silence', () => make('span', { role: 'group' }, make('span'), make('span', { class: 'silence-heads' })));
  const [title, list] = box.children;
  const { words, names } = silencesOf(frame);
  const isOne = blocks.length === 1;
  setText(title, isOne ? '' : `${words}:`);
  setAttribute(box, 'aria-label', isOne ? null : words);
  reuse(list, blocks.length, () => make('button', { type: 'button', class: 'word', 'data-action': 'silence' })).forEach((button, at) => {
    const { name } = blocks[at];
    const isOn = headsShown(frame, name).every((one) => isSilent(silenced, one));
    setText(button, names[at]);
    setAttributes(button, { 'data-value': name, 'data-on': isOn, 'aria-pressed': String(isOn) });
  });
}
