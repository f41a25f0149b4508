/** A menu of the page's head: a `details` that closes on Escape, on a press elsewhere and after a choice. */

/** @param {HTMLElement} menu */
export function wireMenu(menu) {
  menu.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !menu.hasAttribute('open')) return;
    event.stopPropagation();
    closeMenu(menu, true);
  });
  document.addEventListener('pointerdown', (event) => { if (!menu.contains(/** @type {Node} */ (event.target))) closeMenu(menu, false); });
}

/** @param {HTMLElement} menu @param {boolean} back whether who was in it goes on at what opens it */
export function closeMenu(menu, back) {
  if (!menu.hasAttribute('open')) return;
  menu.removeAttribute('open');
  if (back) menu.querySelector('summary')?.focus();
}
