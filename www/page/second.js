/** A second sentence, which an encoder reads with the first: a field under the first one, for as long as it is wanted. */

import { cleanText, isEmpty } from '../state.js';
import { icon } from '../views/icons.js';
import { make, setAttribute, setAttributes, setText } from '../views/dom.js';

/** @param {HTMLElement} target */
const fieldOf = (target) => /** @type {HTMLInputElement} */ (target.querySelector('input'));

/** What is written there; null = nothing that can be seen. @param {HTMLElement} target */
const writtenIn = (target) => (isEmpty(fieldOf(target).value) ? null : cleanText(fieldOf(target).value));

/**
 * @param {HTMLElement} target
 * @param {{ read: (pair: string|null) => void, leave: () => void, left: () => void }} act
 *   read: what it says now is to be read; leave: it is wanted no more; left: nobody writes there now, and an empty one goes
 */
export function wireSecond(target, { read, leave, left }) {
  target.append(
    make('label', { class: 'unseen', for: 'second-text' }),
    make('input', { id: 'second-text', type: 'text', autocomplete: 'off', spellcheck: 'false', dir: 'auto', maxlength: 2000 }),
    make('button', { type: 'button', class: 'control' }, icon('close')),
  );
  fieldOf(target).addEventListener('input', () => read(writtenIn(target)));
  target.lastElementChild?.addEventListener('click', leave);
  target.addEventListener('focusout', left);
}

/** Opens the field for a sentence of a person's own. @param {HTMLElement} target */
export function openSecond(target) {
  setAttribute(target, 'hidden', false);
  fieldOf(target).focus();
}

/** @param {HTMLElement} target @param {{ pair: string|null, hasEncoder: boolean }} shown   pair: what the page reads as the second; null = nothing */
export function drawSecond(target, { pair, hasEncoder }, t) {
  const field = fieldOf(target);
  const [label, , leave] = target.children;
  setText(label, t('page.second'));
  setAttribute(field, 'placeholder', t('page.second.hint'));
  setAttributes(leave, { 'aria-label': t('page.second.leave'), title: t('page.second.leave') });
  // What is being written stays as it is written.
  if (writtenIn(target) !== pair) field.value = pair ?? '';
  setAttribute(target, 'hidden', !hasEncoder || pair === null && !target.matches(':focus-within'));
}
