/**
 * Before a class: the presenter's view (nothing but the stage, in large type, to be gone through by a remote) and covered
 * candidates. Which of them is on is the page's state; here are its menu, and the screen that the view fills.
 */

import { make, part, setAttribute, setAttributes, setText, targetOf } from '../views/dom.js';
import { icon } from '../views/icons.js';
import { closeMenu, wireMenu } from './menu.js';

/** What a machine shows of itself before a class: what is the same in every step gives way. */
export const VIEW = 'title tokens mask candidates';

/** @typedef {'present'|'cover'} Switch */
/** @type {Switch[]} */
const SWITCHES = ['present', 'cover'];

/** @param {HTMLElement} menu a `details` of its own @param {HTMLElement} dock @param {(name: Switch) => void} turn */
export function wirePresent(menu, dock, turn) {
  menu.append(make('summary', { class: 'control' }, icon('present')), make('div', { class: 'panel' }));
  const pressed = (event) => targetOf(event).closest('[data-switch]')?.dataset.switch;
  menu.addEventListener('click', (event) => { const name = pressed(event); if (name) { closeMenu(menu, name !== 'present'); turn(name); } });
  wireMenu(menu);
  const leave = make('button', { type: 'button', class: 'control leave', hidden: true }, icon('shrink'));
  leave.addEventListener('click', () => turn('present'));
  dock.append(leave);
  // The browser's own Escape leaves the screen, and with it the view.
  document.addEventListener('fullscreenchange', () => { if (fills && !isBusy && !document.fullscreenElement) turn('present'); });
}

/** @param {HTMLElement} menu @param {HTMLElement} dock @param {Record<Switch, boolean>} state */
export function drawPresent(menu, dock, state, t) {
  setAttribute(document.documentElement, 'data-present', state.present);
  const [summary, panel] = menu.children;
  setAttributes(summary, { 'aria-label': t('present.menu'), title: t('present.menu') });
  for (const name of SWITCHES) {
    const line = part(panel, `switch-${name}`, () => make('button', { type: 'button', class: 'switch', 'data-switch': name }, make('b'), make('span')));
    setAttribute(line, 'aria-pressed', String(state[name]));
    setText(line.firstElementChild, t(`present.${name}`));
    setText(line.lastElementChild, t(`present.${name}.how`));
  }
  const leave = dock.querySelector('.leave');
  // Who leaves by it goes on at the menu.
  if (!state.present && leave?.matches(':focus')) /** @type {HTMLElement} */ (summary).focus();
  if (leave) setAttributes(leave, { hidden: !state.present, 'aria-label': t('present.leave'), title: t('present.leave') });
}

/** Whether the screen is wanted, and whether the browser is still at what it was told before. */
let fills = false;
let isBusy = false;

/**
 * Asks for the whole screen, where a person has just pressed something; or gives it back. A browser takes its time for
 * either: what was wanted last counts.
 * @param {boolean} isOn
 */
export async function fillScreen(isOn) {
  fills = isOn;
  if (isBusy) return;
  isBusy = true;
  try {
    while (fills !== (document.fullscreenElement !== null)) await (fills ? document.documentElement.requestFullscreen() : document.exitFullscreen());
  } catch {
    // A browser that cannot, or may not, leaves the view in its window.
  }
  isBusy = false;
}
