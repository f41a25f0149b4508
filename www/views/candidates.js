/**
 * What the lit row would say next: bars of full-vocabulary probabilities. A candidate that top-k or top-p cut is
 * hatched; pressing one forces it.
 *
 * @typedef {import('./mask.js').Drawn} Drawn
 */

import { make, part, percent, reuse, setAttribute, setAttributes, setText, setVariable } from './dom.js';
import { continuesWord, showPiece, showPieces } from '../pieces.js';
import { secondOf } from './tokens.js';

/** @param {Element} target @param {Drawn & { canForce: boolean, covered: boolean, most: number, specials: Set<number>, before: { of: Map<number, number>, isWhole: boolean }|null }} frame */
export function draw(target, frame) {
  const { view } = frame;
  const head = part(target, 'candidates-head', () => make('div', {}, make('p', { class: 'candidates-title' }), make('p', { class: 'rest' })));
  const [title, rest] = head.children;
  setText(title, titleOf(frame));
  const list = part(target, 'bars', () => make('div', { role: 'group' }));
  setAttributes(list, { 'aria-label': view.t('candidates.label'), 'data-waiting': frame.waiting });
  const cover = part(target, 'cover', () => make('button', { type: 'button', class: 'cover', 'data-action': 'reveal' }));
  const { covered } = frame;
  // Who is there by key goes on there: among them when they are uncovered, at the cover when they are covered.
  const isAt = !covered && cover.matches(':focus');
  const isIn = covered && list.querySelector(':focus') !== null;
  setAttributes(cover, { hidden: !covered, 'aria-disabled': covered && frame.waiting ? 'true' : null });
  setAttribute(list, 'hidden', covered);
  setText(cover, view.t('candidates.cover'));
  if (covered) {
    if (isIn) cover.focus();
    reuse(list, 0, () => make('button'));
    setAttribute(rest, 'hidden', true);
    return;
  }
  // Those of before stay while what comes is computed: the one that was pressed keeps the focus.
  if (frame.waiting) {
    for (const row of list.children) setAttribute(row, 'aria-disabled', 'true');
    return;
  }
  const candidates = frame.candidates.slice(0, frame.most);
  const at = candidates.findIndex(({ id }) => id === frame.chosen);
  if (at < 0 && frame.chosen !== null) {
    const own = frame.candidates.find(({ id }) => id === frame.chosen);
    if (own) candidates[candidates.length - 1] = own;
  }
  const rows = reuse(list, candidates.length, () => make('button', { type: 'button', class: 'candidate' },
    make('span', { class: 'piece', dir: 'auto' }), make('span', { class: 'bar' }, make('i'), make('s')), make('span', { class: 'percent' }), make('span', { class: 'unseen' })));
  const texts = candidates.map((candidate) => showPiece(candidate).text);
  rows.forEach((row, index) => drawCandidate(row, frame, candidates[index], texts.indexOf(texts[index]) !== texts.lastIndexOf(texts[index])));
  if (isAt) list.querySelector('button')?.focus();
  const left = 1 - candidates.reduce((sum, { probability }) => sum + probability, 0);
  setAttribute(rest, 'hidden', candidates.length === 0);
  setText(rest, candidates.length ? view.t('candidates.rest', { p: percent(Math.max(0, left)) }) : '');
}

/** Signs hardly ever stand alone, so it is said of them only where the same one is there twice, once with a space before it. */
function drawCandidate(row, frame, candidate, isTwice) {
  const { view } = frame;
  const special = frame.specials.has(candidate.id);
  const shown = showPiece({ ...candidate, special });
  const [piece, bar, number, more] = row.children;
  setText(piece, shown.text);
  // A long one is cut at the bar.
  setAttributes(piece, { 'data-kind': shown.kind, title: shown.text });
  setAttribute(piece, 'data-continues', continuesWord(shown) && shown.kind === 'text' && (isTwice || /^[\p{L}\p{N}]/u.test(shown.text)));
  setVariable(bar, '--p', candidate.probability.toFixed(4));
  // Where the mask was painted: how likely it was before.
  const before = frame.before?.of.get(candidate.id) ?? (frame.before?.isWhole ? 0 : undefined);
  setVariable(bar, '--before', (before ?? 0).toFixed(4));
  setAttribute(bar.lastElementChild, 'hidden', before === undefined);
  setText(number, percent(candidate.probability));
  const chosen = candidate.id === frame.chosen;
  setAttributes(row, {
    'data-id': candidate.id, 'data-chosen': chosen, 'data-forced': chosen && frame.forced,
    'data-kept': String(candidate.kept ?? true), 'aria-disabled': frame.canForce ? null : 'true',
  });
  setText(more, [chosen ? view.t('candidate.chosen') : candidate.kept === false ? view.t('candidate.cut') : '',
    before === undefined ? '' : view.t('candidate.before', { p: percent(before) })].filter(Boolean).join(' '));
}

/** Who chooses: the piece at the lit row, or which blank is being filled. */
function titleOf(frame) {
  const { view, current } = frame;
  if (frame.waiting) return view.t('candidates.waiting');
  // Of a stored run nobody knows what its model could fill.
  const none = () => (frame.canBlank ? `none${secondOf(frame)}` : frame.description ? 'never' : 'none.stored');
  if (!current) return frame.settled && frame.length === 0 ? view.t(`candidates.${none()}`) : '';
  if (frame.architecture === 'encoder') return view.t('candidates.blank', { n: Math.min(frame.position + 1, frame.length), of: frame.length });
  if (frame.settled) return view.t(`candidates.settled.${frame.reason ?? 'eos'}`);
  const tokens = frame.architecture === 'encoder-decoder' ? frame.target : [...frame.source, ...frame.target];
  return view.t('candidates.after', { piece: showPieces(tokens)[current.row]?.text ?? '' });
}
