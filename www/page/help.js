/** The help dialog: keys, how to read a matrix, and that nothing leaves the machine. */

import { make } from '../views/dom.js';

/** @type {Array<[string[], string]>} */
const KEYS = [
  [['Space'], 'help.key.space'], [['←', '→'], 'help.key.arrows'], [['N'], 'help.key.n'], [['G'], 'help.key.g'],
  [['R'], 'help.key.r'], [['L'], 'help.key.l'], [['P'], 'help.key.p'], [['C'], 'help.key.c'], [['A'], 'help.key.a'], [['H'], 'help.key.h'], [['↑', '↓', '←', '→'], 'help.key.matrix'],
];

/**
 * @param {HTMLDialogElement} dialog
 * @param {object} page
 * @param {string|null} page.open address of the page that opens models from elsewhere
 * @param {boolean} page.letters whether single letters are keys
 * @param {(letters: boolean) => void} page.turn
 */
export function drawHelp(dialog, { open, letters, turn }, t) {
  // What is opened there is beside what is shown here: its address is this page's state.
  const leave = open === null ? null : make('a', { href: open, text: t('help.open') });
  leave?.addEventListener('click', () => leave.setAttribute('href', open + location.hash));
  const close = make('button', { type: 'button', class: 'plain', text: t('help.close') });
  close.addEventListener('click', () => dialog.close());
  const choice = make('input', { type: 'checkbox', checked: letters, 'aria-describedby': 'letters-how' });
  choice.addEventListener('change', () => turn(choice.checked));
  dialog.replaceChildren(
    make('header', {}, make('h2', { id: 'help-title', text: t('help.title') }), close),
    make('h3', { text: t('help.keys') }),
    make('dl', {}, ...KEYS.flatMap(([keys, key]) => [
      make('dt', {}, ...keys.map((name) => make('kbd', { text: name }))), make('dd', { text: t(key) })])),
    make('label', { class: 'letters' }, choice, make('span', { text: t('help.letters') })),
    make('p', { id: 'letters-how', class: 'letters-how', text: t('help.letters.how') }),
    make('h3', { text: t('help.read') }),
    ...['help.read.matrix', 'help.read.now', 'help.read.point', 'help.read.blank', 'help.read.paint', 'help.read.reach', 'help.read.leak', 'help.read.blanks', 'help.read.cost', 'help.read.objective', 'help.read.save', 'help.private'].map((key) => make('p', { text: t(key) })),
    ...(leave ? [make('p', {}, leave)] : []),
  );
}

export function toggleHelp(dialog) {
  if (dialog.open) dialog.close();
  else dialog.showModal();
}
