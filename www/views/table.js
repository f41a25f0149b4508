/** A matrix as a real table, for a screen reader or for whoever wants the numbers. */

import { make, part, reuse, setAttribute, setText, setVariable } from './dom.js';
import { showPieces } from '../pieces.js';

/** So many cells at most, where there are several heads: more stop the page for seconds, and nobody reads them. */
const MOST_CELLS = 10_000;

/** How many of the heads are shown: all that there is room for, and one whatever its size. @param {import('./mask.js').Drawn} frame @returns {number[]} */
export function headsIn({ blocks, heads, view: { head } }) {
  if (head !== 'all') return [head];
  const cells = blocks.reduce((sum, { rows, keys }) => sum + rows * keys, 0);
  return Array.from({ length: Math.max(1, Math.min(heads, Math.floor(MOST_CELLS / Math.max(1, cells)))) }, (_, at) => at);
}

/** @param {Element} target @param {import('./mask.js').Drawn} frame */
export function draw(target, frame) {
  const { t, head } = frame.view;
  const heads = headsIn(frame);
  const wanted = heads.flatMap((one) => frame.blocks.map((block) => ({ block, head: one })));
  const tables = reuse(part(target, 'all-tables', () => make('div')), wanted.length, () => make('table', {}, make('caption'), make('thead', {}, make('tr')), make('tbody')));
  wanted.forEach((one, at) => drawTable(tables[at], frame, one));
  const left = head === 'all' ? frame.heads - heads.length : 0;
  const more = part(target, 'more-tables', () => make('p'));
  setAttribute(more, 'hidden', left <= 0);
  setText(more, left > 0 ? t('table.more', { n: left }) : '');
}

function drawTable(table, frame, { block, head }) {
  const { view } = frame;
  const one = frame.architecture === 'encoder-decoder' ? null : showPieces([...frame.read, ...frame.target]);
  const source = one ?? showPieces(frame.read);
  const target = one ?? showPieces(frame.target);
  const rows = block.name === 'encoder' ? source : target;
  const keys = block.name === 'decoder' ? target : source;
  const layer = Math.min(view.layer, (frame.layers[block.name] ?? 1) - 1);
  const [caption, top, body] = table.children;
  // Paper has no room to scroll.
  setVariable(table, '--columns', block.keys + 1);
  setText(caption, view.t('table.caption', { block: view.t(`block.${block.name}`), layer: layer + 1, head: head + 1 }));
  reuse(top.firstElementChild, block.keys + 1, (at) => make(at ? 'th' : 'td', at ? { scope: 'col' } : {}))
    .forEach((cell, at) => setText(cell, at ? keys[at - 1]?.text ?? '' : ''));
  reuse(body, block.rows, () => make('tr')).forEach((line, row) => {
    const weights = block.attention(layer, head, row);
    reuse(line, block.keys + 1, (at) => make(at ? 'td' : 'th', at ? {} : { scope: 'row' })).forEach((cell, at) => {
      if (at === 0) { setText(cell, rows[row]?.text ?? ''); return; }
      setText(cell, cellOf(block.visible(row, at - 1), weights?.[at - 1], view.t));
    });
  });
}

/** What one cell says. A stored run's rows may be shorter than its mask. @param {boolean|null} visible @param {number|undefined} weight @param {(key: string) => string} t */
export function cellOf(visible, weight, t) {
  if (visible === false) return t('table.hidden');
  if (weight !== undefined) return weight.toFixed(3);
  return visible ? t('table.seen') : '';
}
