/** Keys of the whole page. A key that a control wants for itself is never taken from it. */

/** @type {Map<string, string>} */
const ACTIONS = new Map(Object.entries({
  ' ': 'toggle', ArrowRight: 'step', ArrowLeft: 'back', n: 'step', g: 'end', r: 'restart', l: 'language', h: 'help', '?': 'help', p: 'present', c: 'cover', a: 'reveal', Escape: 'leave',
}));
/** What a presenter's remote sends; else these scroll. */
const REMOTE = new Map(Object.entries({ PageDown: 'step', PageUp: 'back' }));
/** Held down, these would turn something on and off again. */
const ONCE = ['present', 'cover', 'language', 'help', 'reveal'];
/** What a menu that was used in the presenter's view does not keep: the remote steps on, and the view can be left. */
const PAST_MENUS = ['PageDown', 'PageUp', 'Escape', 'p', 'P'];

const ARROWS = ['ArrowLeft', 'ArrowRight'];

/**
 * Which action a key event means on this page, or null.
 * @param {{ key: string, ctrlKey?: boolean, altKey?: boolean, metaKey?: boolean, defaultPrevented?: boolean, isComposing?: boolean, repeat?: boolean }} event
 * @param {{ tagName?: string, type?: string, isContentEditable?: boolean, getAttribute?: (name: string) => string|null }|null} target where the key was pressed
 * @param {boolean} [presents] whether the presenter's view is on
 * @param {boolean} [letters] whether single letters and signs are keys: who speaks to the computer, or often hits a key beside the one that was meant, turns them off
 */
export function actionOf(event, target, presents = false, letters = true) {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return null;
  if (!letters && event.key.length === 1 && event.key !== ' ') return null;
  const action = ACTIONS.get(event.key) ?? ACTIONS.get(event.key.toLowerCase()) ?? (presents ? REMOTE.get(event.key) : null) ?? null;
  if (action === null || event.repeat && ONCE.includes(action)) return null;
  const tag = (target?.tagName ?? '').toLowerCase();
  if (target?.isContentEditable || tag === 'textarea') return null;
  if (tag === 'select' && !(presents && PAST_MENUS.includes(event.key))) return null;
  // A slider wants only the keys that move it.
  if (tag === 'input' && (target?.type !== 'range' || ARROWS.includes(event.key))) return null;
  if (event.key === ' ' && ['button', 'summary', 'a'].includes(tag)) return null;
  // What scrolls in itself (a machine's tables) is scrolled by these.
  if ([' ', ...ARROWS].includes(event.key) && target?.getAttribute?.('role') === 'region') return null;
  return action;
}

/** @param {Record<string, () => void>} actions @param {() => boolean} [presents] @param {() => boolean} [letters] */
export function wireKeyboard(actions, presents = () => false, letters = () => true) {
  document.addEventListener('keydown', (event) => {
    const action = actionOf(event, /** @type {any} */ (event.composedPath()[0]), presents(), letters());
    if (action === null || !actions[action]) return;
    const dialog = document.querySelector('dialog[open]');
    if (dialog && action !== 'help') return;
    if (action !== 'leave') event.preventDefault();
    actions[action]();
  });
}
