/** The menu under a matrix of what can be taken along as a file. It lies above all else, so that no edge cuts it. */

import { make, reuse, setAttribute, setAttributes, setText, setVariable } from './dom.js';

/** @typedef {'svg'|'png'|'csv'|'run'} What */

/** @type {What[]} */
const ALL = ['svg', 'png', 'csv', 'run'];
/** Between the menu and what it belongs to, and between it and the window's edge. */
const GAP = 4;
const EDGE = 8;

/** A browser that knows no popovers shows no such button. */
const isKnown = () => 'popover' in HTMLElement.prototype;

export function buildSave() {
  const menu = make('div', { class: 'save-menu', popover: 'auto', id: 'save-menu', role: 'group' }, make('div', { class: 'save-choices' }), make('p', { class: 'save-told', role: 'alert', hidden: true }));
  const button = make('button', { type: 'button', class: 'word', popovertarget: 'save-menu' });
  wire(button, menu);
  return make('span', { class: 'save', hidden: true }, button, menu);
}

function wire(button, menu) {
  const where = () => { const { x, y } = button.getBoundingClientRect(); return `${Math.round(x)} ${Math.round(y)}`; };
  let was = '';
  const put = () => {
    was = where();
    place(button.getBoundingClientRect(), menu);
  };
  // What it belongs to moves away from under it. A scroll is told of after it, also of one from before.
  const away = () => {
    if (!menu.matches(':popover-open')) listen(false);
    else if (was !== '' && was !== where()) menu.hidePopover();
  };
  const listen = (/** @type {boolean} */ isOpen) => {
    for (const name of ['scroll', 'resize']) {
      if (isOpen) addEventListener(name, away, { capture: true, passive: true });
      else removeEventListener(name, away, { capture: true });
    }
  };
  menu.addEventListener('beforetoggle', (/** @type {any} */ { newState }) => {
    tell(menu, '');
    was = '';
    // Its size is known when it is there, and that is before the next frame.
    if (newState === 'open') requestAnimationFrame(put);
  });
  menu.addEventListener('toggle', (/** @type {any} */ { newState }) => listen(newState === 'open'));
  menu.addEventListener('focusout', (/** @type {FocusEvent} */ { relatedTarget: next }) => {
    if (next && next !== button && !menu.contains(/** @type {Node} */ (next)) && menu.matches(':popover-open')) menu.hidePopover();
  });
  menu.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
    // Nobody else is meant.
    if (event.key === 'Escape') { event.preventDefault(); event.stopPropagation(); close(menu); return; }
    const buttons = [...menu.querySelectorAll('button:not([hidden])')];
    const at = buttons.indexOf(/** @type {any} */ (event.target));
    const next = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    if (next === undefined || at < 0) return;
    event.preventDefault();
    event.stopPropagation();
    buttons[(next + buttons.length) % buttons.length].focus();
  });
}

/** Under its button, or above it where there is more room, and always within the window. */
function place(anchor, menu) {
  const { width, height } = menu.getBoundingClientRect();
  const below = anchor.bottom + GAP + height <= innerHeight - EDGE || anchor.top < innerHeight - anchor.bottom;
  const top = below ? anchor.bottom + GAP : anchor.top - GAP - height;
  const within = (/** @type {number} */ value, /** @type {number} */ most) => Math.max(EDGE, Math.min(value, most));
  setVariable(menu, '--x', `${Math.round(within(anchor.right - width, innerWidth - EDGE - width))}px`);
  setVariable(menu, '--y', `${Math.round(within(top, innerHeight - EDGE - height))}px`);
}

/** Who was in it goes on at its button: browsers look for that outside of the element. @param {HTMLElement} menu */
function close(menu) {
  const wasIn = menu.matches(':focus-within');
  if (menu.matches(':popover-open')) menu.hidePopover();
  if (wasIn) /** @type {HTMLElement} */ (menu.previousElementSibling).focus();
}

/** @param {Element} menu @param {string} text what went wrong; '' = nothing */
function tell(menu, text) {
  const told = menu.querySelector('.save-told');
  setAttribute(told, 'hidden', text === '');
  setText(told, text);
}

/** After a choice: it closes, or says why nothing was saved. @param {Element} target @param {string} trouble @returns {boolean} whether it was open, to say it */
export function closeSave(target, trouble = '') {
  const menu = /** @type {HTMLElement} */ (target.lastElementChild);
  const isOpen = menu.matches(':popover-open');
  tell(menu, trouble);
  if (trouble === '') close(menu);
  return isOpen;
}

/**
 * Of a table a picture is no picture of what stands there, and an unfinished run none that plays to its end.
 * @param {any} frame @param {boolean} isDone
 * @returns {Array<[What, boolean]>} what is offered, and whether it can be had now
 */
function offered(frame, isDone) {
  const { view: { place: name } } = frame;
  const isMatrix = name === '' || name === 'reach';
  const asked = ['leak', 'reach', 'blanks', 'objective'].includes(name) ? frame[name] : null;
  const hasNumbers = asked ? Boolean(asked.result) && !asked.waiting : true;
  return ALL.filter((what) => !['svg', 'png'].includes(what) || isMatrix)
    .map((what) => [what, what === 'run' ? isDone : hasNumbers]);
}

/** @param {Element} target what buildSave made @param {any} frame @param {{ phase: string }} machine */
export function draw(target, frame, { phase }) {
  const { t } = frame.view;
  const [button, menu] = target.children;
  setAttribute(target, 'hidden', !isKnown());
  setText(button, t('save.start'));
  setAttribute(menu, 'aria-label', t('save.label'));
  const choices = offered(frame, phase === 'done');
  reuse(menu.firstElementChild, choices.length, () => make('button', { type: 'button', 'data-action': 'save', autofocus: true }, make('span'), make('b'))).forEach((choice, at) => {
    const [what, can] = choices[at];
    setText(choice.firstElementChild, t(`save.${what}`));
    setText(choice.lastElementChild, t(`save.${what}.kind`));
    setAttributes(choice, { 'data-value': what, title: t(`save.${what}.hint`), 'aria-disabled': can ? null : 'true' });
  });
}
