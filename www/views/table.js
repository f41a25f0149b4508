/** A matrix as a real table, for a screen reader or for whoever wants the numbers. */

import { make, reuse, setText, setVariable } from './dom.js';
import { showPieces } from '../pieces.js';

/** @param {Element} target @param {import('./mask.js').Drawn} frame */
export function draw(target, frame) {
  const { head } = frame.view;
  const heads = head === 'all' ? Array.from({ length: Math.max(1, frame.heads) }, (_, at) => at) : [head];
  const wanted = heads.flatMap((one) => frame.blocks.map((block) => ({ block, head: one })));
  const tables = reuse(target, wanted.length, () => make('table', {}, make('caption'), make('thead', {}, make('tr')), make('tbody')));
  wanted.forEach((one, at) => drawTable(tables[at], frame, one));
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
