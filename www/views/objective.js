/**
 * What a model is trained on, as a table of three rows (given, wanted, loss) that breaks into lines as a text does: in the
 * document a row is a token, which its style sets upright.
 *
 * @typedef {import('../objective.js').Objective} Objective
 * @typedef {import('../objective.js').Piece} Piece
 * @typedef {import('../objective.js').Way} Way
 * @typedef {(key: string, values?: object) => string} Say
 */

import { make, part, reuse, setAttribute, setAttributes, setText } from './dom.js';
import { BY_LOT, WAYS } from '../objective.js';

/** Ways that train on an answer. */
const WRITTEN = ['next', 'answer', 'target'];

/** @param {Element} target @param {{ architecture: string, objective: { result: Objective|null, waiting: boolean }, view: { t: Say } }} frame */
export function draw(target, { architecture, objective: { result, waiting }, view: { t } }) {
  const title = part(target, 'objective-title', () => make('div', {}, make('b'), make('button', { type: 'button', class: 'word', 'data-action': 'again' })));
  setText(title.firstElementChild, t('way.title'));
  setText(title.lastElementChild, t('way.again'));
  setAttribute(title.lastElementChild, 'hidden', !result || !BY_LOT.includes(result.way));
  drawWays(part(target, 'objective-ways', () => make('div', { role: 'group' })), WAYS[architecture], result?.way, t);
  setText(part(target, 'objective-what', () => make('p')), result ? t(`way.${result.way}.what`) : t('way.waiting'));
  const tables = part(target, 'objective-tables', () => make('div'));
  setAttribute(tables, 'data-waiting', waiting);
  const parts = result?.parts.filter(({ columns }) => columns.length) ?? [];
  reuse(tables, parts.length, makeTable).forEach((table, at) => drawPart(table, parts[at], t));
  const said = result ? [sayObjective(result, t), sayWhose(result, t), t(WRITTEN.includes(result.way) ? 'way.how.written' : 'way.how')] : [];
  reuse(part(target, 'objective-words', () => make('div')), said.length, () => make('p')).forEach((line, at) => setText(line, said[at]));
}

/** A button a way, where there is a choice. */
function drawWays(group, ways, shown, t) {
  setAttributes(group, { 'aria-label': t('way.choose'), hidden: ways.length < 2 });
  reuse(group, ways.length, () => make('button', { type: 'button', class: 'word', 'data-action': 'way' })).forEach((button, at) => {
    setAttributes(button, { 'data-value': ways[at], 'aria-pressed': String(ways[at] === shown), 'data-on': ways[at] === shown });
    setText(button, t(`way.${ways[at]}`));
  });
}

// Set upright, a table would be none to who hears it, were it not said.
const makeTable = () => make('table', { role: 'table' }, make('caption'), make('thead', { role: 'rowgroup' }, make('tr', { role: 'row' })), make('tbody', { role: 'rowgroup' }));

/** What an encoder reads is given alone: nothing is asked there. */
function drawPart(table, { name, columns }, t) {
  const rows = name === 'source' ? ['given'] : ['given', 'wanted', 'loss'];
  const [caption, head, body] = table.children;
  setAttribute(caption, 'hidden', name === 'all');
  setText(caption, name === 'all' ? '' : t(`way.part.${name}`));
  reuse(head.firstElementChild, rows.length, () => make('th', { scope: 'col', role: 'columnheader' })).forEach((cell, at) => setText(cell, t(`way.${rows[at]}`)));
  reuse(body, columns.length, () => make('tr', { role: 'row' })).forEach((line, at) => drawColumn(line, columns[at], rows.length, t));
}

function drawColumn(line, { given, wanted, loss, changed }, count, t) {
  const [first, second, third] = reuse(line, count, () => make('td', { role: 'cell' }));
  setAttributes(line, { 'data-changed': changed, 'data-loss': loss });
  drawPiece(first, given, t);
  if (!second) return;
  drawPiece(second, wanted, t);
  setText(part(third, 'unseen', () => make('span')), t(loss ? 'way.loss.yes' : 'way.loss.no'));
}

/** @param {Element} cell @param {Piece|null} piece */
function drawPiece(cell, piece, t) {
  setAttribute(cell, 'data-special', Boolean(piece?.special));
  setText(cell, piece === null ? '–' : piece.sign ? t(`way.sign.${piece.sign}`) : `${piece.continues ? '·' : ''}${piece.text}`);
}

/** How many give a loss, and what was drawn. @param {Objective} objective @param {Say} t */
export function sayObjective({ way, losses, of, drawn, sentences, parts }, t) {
  const said = [t('way.count', { n: losses, of })];
  if (drawn) said.push(t('way.drawn', { n: losses, ...drawn }));
  if (way === 'replaced') said.push(t('way.changed', { n: parts[0].columns.filter(({ changed }) => changed).length }));
  if (sentences) said.push(sentences > 1 ? t('way.sentences', { n: sentences }) : t('way.sentence'));
  return said.join(' ');
}

/** Which models were trained so. @param {Objective} objective @param {Say} t */
const sayWhose = ({ way }, t) => [t(`way.${way}.whose`), WRITTEN.includes(way) ? t('way.alone') : ''].filter(Boolean).join(' ');
