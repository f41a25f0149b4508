/** The inside of the element: its skeleton, its style sheets, and how pointers and keys become actions. */

import { icon } from './views/icons.js';
import { make, targetOf } from './views/dom.js';
import { PLACES } from './views/places.js';
import { buildSave } from './views/save.js';
import { readSheets } from './place.js';

/** How long an element waits for its style: a server that never answers would else hide it for ever. */
const PATIENCE_MILLISECONDS = 5_000;

/** @type {Promise<CSSStyleSheet[]>|null} */
let sheets = null;

/** Constructed sheets, made once and shared by every element of the page. */
function styleSheets() {
  sheets ??= readSheets().then((texts) => Promise.all(texts.map((text) => new CSSStyleSheet().replace(text))));
  sheets.catch(() => { sheets = null; });
  return sheets;
}

/** Resolves when a root has its style, or it is time to show the element without: what comes later still dresses it. @param {ShadowRoot} root */
export function dress(root) {
  const dressed = styleSheets().then((made) => { root.adoptedStyleSheets = made; }).catch(() => {});
  return Promise.race([dressed, new Promise((resolve) => { setTimeout(resolve, PATIENCE_MILLISECONDS); })]);
}

/** @param {ShadowRoot} root */
export function buildSkeleton(root) {
  const parts = {
    title: make('h2', { class: 'name', tabindex: -1 }),
    kin: make('span', { class: 'kin' }),
    sign: make('span', { class: 'sign' }),
    enlarge: make('button', { type: 'button', class: 'control enlarge', 'data-action': 'enlarge', hidden: true }, icon('enlarge')),
    about: make('dl', { class: 'about' }),
    tokens: make('div', { class: 'strips' }),
    cut: make('p', { class: 'cut-line', hidden: true }),
    verdict: make('p', { class: 'verdict', hidden: true }),
    hint: make('p', { class: 'hint' }),
    less: make('p', { class: 'less' }),
    mask: make('div', { class: 'mask', tabindex: 0, role: 'application' }),
    paintButton: make('button', { type: 'button', class: 'word', 'data-action': 'paint' }),
    rule: make('p', { class: 'ruling', hidden: true }),
    painting: make('p', { class: 'painting', hidden: true }, make('span', { class: 'painting-words' }),
      make('button', { type: 'button', class: 'word', 'data-action': 'undo' }), make('button', { type: 'button', class: 'word', 'data-action': 'reset' })),
    save: buildSave(),
    looks: make('label', { class: 'looks' }, make('span', { class: 'unseen' }), make('select', { 'data-action': 'look' })),
    /** What stands in the matrix's place, by its name. @type {Record<string, HTMLElement>} */
    places: Object.fromEntries(Object.keys(PLACES).map((name) => [name, make('div', { class: PLACES[name].style, tabindex: PLACES[name].keeps ? null : 0, role: 'region', hidden: true })])),
    candidates: make('div', { class: 'candidates' }),
    status: make('div', { class: 'status', tabindex: -1 }),
    stats: make('p', { class: 'stats' }),
    controls: make('div', { class: 'controls', role: 'group' }),
    notice: make('p', { class: 'notice', role: 'status', hidden: true }),
    say: make('p', { class: 'unseen', role: 'status' }),
  };
  const head = make('header', { class: 'head' }, parts.sign, parts.title, parts.kin, parts.enlarge);
  parts.read = make('section', { class: 'read' }, parts.tokens, parts.cut, parts.verdict);
  parts.look = make('section', { class: 'look' }, parts.mask, ...Object.values(parts.places), make('div', { class: 'under' }, parts.hint, parts.less, parts.paintButton, parts.save, parts.looks), parts.rule, parts.painting);
  parts.machine = make('article', { class: 'machine' }, head, parts.about, parts.read, parts.look,
    parts.candidates, parts.status, make('footer', { class: 'foot' }, parts.controls, parts.stats), parts.notice, parts.say);
  root.append(parts.machine);
  return parts;
}

/**
 * Pointer and keyboard inside the element, told as plain actions.
 * @param {ReturnType<typeof buildSkeleton>} parts
 * @param {object} act
 * @param {(position: number, stack: string) => void} act.pressToken
 * @param {(spot: { stack: string, position: number }|null) => void} act.pointToken
 * @param {(x: number, y: number) => void} act.pointCell
 * @param {(isKey: boolean) => boolean} act.pressCell whether the pointer, or the key, paints
 * @param {() => void} act.releaseCell
 * @param {() => void} act.undo
 * @param {() => boolean} act.unpin whether a token was pinned
 * @param {() => void} act.leaveCell
 * @param {(rows: number, keys: number) => void} act.moveCell
 * @param {(head: number) => void} act.chooseHead
 * @param {(id: number) => void} act.pressCandidate
 * @param {(action: string, value: string) => void} act.control
 */
export function wire(parts, act) {
  const chipOf = (event) => event.target.closest?.('.chip');
  const spotOf = (chip) => (chip ? { stack: chip.dataset.stack, position: Number(chip.dataset.position) } : null);
  parts.tokens.addEventListener('pointerover', (event) => act.pointToken(spotOf(chipOf(event))));
  parts.tokens.addEventListener('pointerleave', () => act.pointToken(null));
  parts.tokens.addEventListener('focusin', (event) => act.pointToken(spotOf(chipOf(event))));
  parts.tokens.addEventListener('focusout', () => act.pointToken(null));
  parts.tokens.addEventListener('click', (event) => {
    const chip = chipOf(event);
    if (chip) act.pressToken(Number(chip.dataset.position), chip.dataset.stack);
  });
  parts.tokens.addEventListener('keydown', (event) => roam(event, chipOf(event)));

  parts.mask.addEventListener('pointermove', (event) => pointMask(event, act));
  parts.mask.addEventListener('pointerdown', (event) => {
    pointMask(event, act);
    if (event.button !== 0 || !act.pressCell(false)) return;
    // Wherever it is let go; a scroll that begins as a stroke would end it.
    const release = () => {
      act.releaseCell();
      for (const name of ['pointerup', 'pointercancel']) removeEventListener(name, release, true);
    };
    for (const name of ['pointerup', 'pointercancel']) addEventListener(name, release, true);
  });
  // A finger leaves when it is lifted: what it pointed at stays to be read.
  parts.mask.addEventListener('pointerleave', (event) => { if (event.pointerType !== 'touch') act.leaveCell(); });
  parts.mask.addEventListener('blur', () => act.leaveCell());
  parts.mask.addEventListener('click', (event) => {
    const head = event.target.closest?.('figure')?.dataset.head;
    if (head !== undefined) act.chooseHead(Number(head));
  });
  parts.mask.addEventListener('keydown', (event) => {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (move && !event.altKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      act.moveCell(move[0], move[1]);
    } else if (['Enter', ' '].includes(event.key) && (event.repeat || act.pressCell(true))) {
      event.preventDefault();
      act.releaseCell();
    } else if (event.key.toLowerCase() === 'z' && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      act.undo();
    } else if (event.key === 'Escape') {
      act.leaveCell();
      parts.mask.blur();
    }
  });

  parts.candidates.addEventListener('click', (event) => {
    const row = event.target.closest?.('.candidate');
    if (row && row.getAttribute('aria-disabled') !== 'true') act.pressCandidate(Number(row.dataset.id));
  });
  parts.machine.addEventListener('keydown', (event) => { if (event.key === 'Escape' && act.unpin()) event.preventDefault(); });
  parts.machine.addEventListener('click', (event) => {
    const button = event.target.closest?.('button[data-action]');
    if (button && button.getAttribute('aria-disabled') !== 'true') act.control(button.dataset.action, button.dataset.value ?? '');
  });
  parts.looks.addEventListener('change', (event) => act.control('look', targetOf(event).value));
  parts.rule.addEventListener('input', (event) => act.control(event.target.dataset.action, event.target.value));
  parts.rule.addEventListener('change', () => act.control('rest', ''));
  for (const name of ['input', 'change']) {
    parts.controls.addEventListener(name, (event) => {
      const { action } = event.target.dataset;
      if (action && (action === 'scrub') === (name === 'input')) act.control(action, event.target.value);
    });
  }
}

function pointMask(event, act) {
  const svg = event.target.closest?.('svg');
  if (!svg) { act.leaveCell(); return; }
  const box = svg.getBoundingClientRect();
  const scale = box.width ? svg.viewBox.baseVal.width / box.width : 1;
  act.pointCell((event.clientX - box.left) * scale, (event.clientY - box.top) * scale);
}

/** One stop of the tab key for a strip; arrows roam within it. */
function roam(event, chip) {
  if (!chip || event.altKey || event.ctrlKey || event.metaKey) return;
  const chips = [...chip.parentElement.children];
  const at = chips.indexOf(chip);
  const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: chips.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  const other = chips[Math.max(0, Math.min(chips.length - 1, next))];
  chip.tabIndex = -1;
  other.tabIndex = 0;
  other.focus();
}
