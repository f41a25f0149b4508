/**
 * Two blanks as a table: a row a guess of the first, a column a guess of the second, and in each cell how likely both are,
 * together and apart. The rows' words are buttons: of the pressed one it is told in words what follows from it.
 *
 * @typedef {import('../blanks.js').Two} Two
 * @typedef {(key: string, values?: object) => string} Say
 */

import { make, part, percent, reuse, setAttribute, setAttributes, setText, setVariable } from './dom.js';
import { blanksOf, likeliest } from '../blanks.js';
import { continuesWord, showPiece } from '../pieces.js';
import { sayError } from './status.js';

/** So many times likelier, or less likely, together than apart: the strongest colour. */
const STRONGEST = 16;
/** From here on an arrow says that it is more, or less. */
const LEAST = 1.5;

/** Of a pair: two small probabilities make a smaller one. @param {number} p */
const share = (p) => (p >= 0.0005 ? percent(p) : p >= 0.00005 ? `${(p * 100).toFixed(2)}%` : '<.01%');

/** @param {Element} target @param {{ blanks: { result: Two|null, error: Error|null, waiting: boolean }, specials: Set<number>, view: { t: Say } } & Pick<import('../timeline.js').Frame, 'source'>} frame */
export function draw(target, frame) {
  const { blanks: { result, error, waiting }, specials, view: { t } } = frame;
  setAttribute(target, 'data-waiting', waiting);
  const said = error ? [sayError(error, t)] : result ? sayBlanks(result, specials, t) : [t(`blanks.${wantedOf(frame)}`)];
  const grid = part(target, 'blanks-grid', () => make('div'));
  const [table] = reuse(grid, result ? 1 : 0, () => make('table', {}, make('caption'), make('thead', {}, make('tr')), make('tbody')));
  if (result) drawTable(table, result, specials, t);
  reuse(part(target, 'blanks-words', () => make('div')), said.length, () => make('p')).forEach((line, at) => setText(line, said[at]));
  setText(part(target, 'blanks-how', () => make('p')), result ? t('blanks.how', { n: result.vocabulary }) : '');
}

/** What is wanted before there is anything to show: more blanks, or the engine's answer. */
const wantedOf = (frame) => ['none', 'one'][blanksOf(frame).length] ?? 'waiting';

/** A piece, with a mark before it where it goes on with a word, as among the candidates. @param {import('../blanks.js').Guess} guess @param {Set<number>} specials */
function nameOf(guess, specials) {
  const shown = showPiece({ ...guess, special: specials.has(guess.id) });
  return continuesWord(shown) && shown.kind === 'text' && /^[\p{L}\p{N}]/u.test(shown.text) ? `·${shown.text}` : shown.text;
}

function drawTable(table, two, specials, t) {
  const [caption, top, body] = table.children;
  const { seconds, given, chosen } = two;
  setText(caption, t('blanks.caption'));
  const heads = reuse(top.firstElementChild, seconds.length + 1, (at) => (at ? make('th', { scope: 'col' }, make('span', { dir: 'auto' }), make('small')) : make('td', {}, make('small'), make('small'))));
  [...heads[0].children].forEach((line, at) => setText(line, t(at ? 'blanks.first' : 'blanks.second')));
  heads.slice(1).forEach((head, at) => {
    setText(head.firstElementChild, nameOf(seconds[at], specials));
    setText(head.lastElementChild, percent(seconds[at].probability));
  });
  reuse(body, given.length, () => make('tr', {}, make('th', { scope: 'row' }, make('button', { type: 'button', class: 'exchange', 'data-action': 'given', dir: 'auto' }), make('small')))).forEach((line, row) => {
    const { guess, shares } = given[row];
    const [button, number] = line.firstElementChild.children;
    const name = nameOf(guess, specials);
    setText(button, name);
    setAttributes(button, { 'aria-pressed': String(guess.id === chosen), 'data-value': guess.id, title: t('blanks.choose', { piece: name }) });
    setText(number, percent(guess.probability));
    reuse(line, seconds.length + 1, () => make('td', {}, make('span', { class: 'unseen' }), make('b', { 'aria-hidden': 'true' }), make('small', { 'aria-hidden': 'true' })))
      .forEach((cell, at) => { if (at) drawCell(cell, guess.probability, shares[at - 1], seconds[at - 1].probability, t); });
  });
}

function drawCell(cell, first, after, before, t) {
  const [words, together, apart] = cell.children;
  const [q, p] = [share(first * after), share(first * before)];
  setText(words, t('blanks.cell', { q, p }));
  setText(together, q);
  setText(apart, p);
  const ratio = after / before;
  setAttribute(cell, 'data-turn', ratio >= LEAST ? 'more' : ratio <= 1 / LEAST ? 'less' : null);
  setVariable(cell, '--shade', Math.min(1, Math.abs(Math.log(ratio)) / Math.log(STRONGEST)).toFixed(3));
}

/** What the table shows, in sentences. @param {Two} two @param {Set<number>} specials @param {Say} t @returns {string[]} */
export function sayBlanks(two, specials, t) {
  const { at, count, given, seconds, bits } = two;
  const best = likeliest(two);
  const of = ({ row, column }) => {
    const [{ guess, shares }, second] = [given[row], seconds[column]];
    const p = guess.probability;
    return { a: nameOf(guess, specials), b: nameOf(second, specials), pa: percent(p), pb: percent(second.probability), p: share(p * second.probability), q: share(p * shares[column]) };
  };
  return [
    ...count > 2 ? [t('blanks.of', { n: count, a: at + 1, b: at + 2 })] : [],
    t('blanks.apart', of({ row: 0, column: 0 })),
    best.row || best.column ? t('blanks.together', of(best)) : t('blanks.same'),
    t('blanks.mean', { given: sayGiven(two, specials, t), bits: bits.toFixed(2) }),
  ];
}

/** What follows from the chosen guess of the first blank. @param {Two} two @param {Set<number>} specials @param {Say} t */
export function sayGiven({ given, chosen }, specials, t) {
  const { guess, best, before, bits } = given.find((one) => one.guess.id === chosen) ?? given[0];
  return t('blanks.given', { a: nameOf(guess, specials), b: nameOf(best, specials), q: percent(best.probability), p: percent(before), bits: bits.toFixed(2) });
}
