/**
 * The leak test as a table: a row a token, a column a layer, the largest change of the row's state in each cell. A row
 * is a button: its token is exchanged next. What every answer begins with is none.
 *
 * @typedef {import('../leak.js').Leak} Leak
 */

import { make, part, percent, reuse, setAttribute, setAttributes, setText, setVariable } from './dom.js';
import { movedOf, sayChange, writeSpot } from '../leak.js';
import { showPiece, showPieces } from '../pieces.js';
import { sayError } from './status.js';

/** Orders of magnitude between the strongest colour and none. */
const SHADES = 5;

/** @param {Element} target @param {{ leak: { result: Leak|null, error: Error|null, waiting: boolean }, view: { t: (key: string, values?: object) => string } }} frame */
export function draw(target, { leak: { result, error, waiting }, view: { t } }) {
  setAttribute(target, 'data-waiting', waiting);
  const words = part(target, 'leak-words', () => make('p'));
  setText(words, error ? sayError(error, t) : result ? sayLeak(result, t).join(' ') : t(waiting ? 'leak.waiting' : 'leak.none'));
  drawSigns(part(target, 'leak-for', () => make('div', { role: 'group' })), result, t);
  const grids = part(target, 'leak-grids', () => make('div'));
  const tables = reuse(grids, result?.stacks.length ?? 0, () => make('table', {}, make('caption'), make('thead', {}, make('tr')), make('tbody')));
  tables.forEach((table, at) => { if (result) drawTable(table, result, result.stacks[at], t); });
  setText(part(target, 'leak-how', () => make('p')), result ? t('leak.how') : '');
}

/** For another word, or for [MASK]: a button each, where a model has that sign. @param {any} group @param {Leak|null} leak */
function drawSigns(group, leak, t) {
  setAttributes(group, { 'aria-label': t('leak.for'), hidden: !leak?.canMask });
  if (!leak?.canMask) return;
  const { masked = false, ...plain } = leak.spot;
  reuse(group, 2, () => make('button', { type: 'button', class: 'word', 'data-action': 'exchange' })).forEach((button, at) => {
    const spot = at ? { ...plain, masked: true } : plain;
    const isIt = masked === Boolean(at);
    setAttributes(button, { 'data-value': writeSpot(spot), 'aria-pressed': String(isIt), 'data-on': isIt });
    setText(button, t(at ? 'leak.for.mask' : 'leak.for.word'));
  });
}

/** @param {any} table @param {Leak} leak @param {Leak['stacks'][0]} stack */
function drawTable(table, { spot, stacks }, { name, tokens, starts = [], moved }, t) {
  const [caption, top, body] = table.children;
  setText(caption, t(stacks.length > 1 ? `block.${name}` : 'leak.caption'));
  setAttribute(caption, 'class', stacks.length > 1 ? null : 'unseen');
  const layers = moved[0]?.length ?? 0;
  reuse(top.firstElementChild, layers + 1, (at) => make(at ? 'th' : 'td', at ? { scope: 'col' } : {}))
    .forEach((cell, at) => setText(cell, at ? at - 1 : t('leak.layer')));
  const most = Math.max(...stacks.flatMap((stack) => stack.moved.flat()));
  const pieces = showPieces(tokens);
  reuse(body, tokens.length, () => make('tr', {}, make('th', { scope: 'row' }, make('button', { type: 'button', class: 'exchange', 'data-action': 'exchange', dir: 'auto' }), make('span', { class: 'start', dir: 'auto' })))).forEach((line, row) => {
    const isIt = spot.stack === name && spot.position === row;
    const isStart = starts.includes(row);
    const [button, start] = line.firstElementChild.children;
    setText(button, isStart ? '' : pieces[row].text);
    setAttributes(button, { hidden: isStart, 'aria-pressed': String(isIt), 'data-value': writeSpot({ ...spot, stack: name, position: row }), title: t('leak.exchange', { piece: pieces[row].text }) });
    setText(start, isStart ? pieces[row].text : '');
    setAttributes(start, { hidden: !isStart, title: isStart ? t('leak.start') : null });
    reuse(line, layers + 1, () => make('td')).forEach((cell, at) => { if (at) drawCell(cell, moved[row][at - 1], most); });
  });
}

function drawCell(cell, change, most) {
  setText(cell, sayChange(change));
  setAttribute(cell, 'data-same', change === 0);
  const shade = change > 0 && most > 0 ? 1 + Math.log10(change / most) / SHADES : 0;
  setVariable(cell, '--shade', Math.max(0, Math.min(1, shade)).toFixed(3));
}

/** What moved and what did not, in sentences. @param {Leak} leak @returns {string[]} */
export function sayLeak({ spot, token, other, stacks, drawn }, t) {
  const [own] = stacks.filter(({ name }) => name === spot.stack);
  const said = [t('leak.exchanged', { piece: showPiece(token).text, other: showPiece(other).text })];
  const say = (rows, where) => {
    if (!rows.length) return;
    const { n, of, most } = movedOf(rows);
    said.push(n === 0 ? t(`leak.${where}.same`, { of }) : t(`leak.${where}.moved`, { n, of, d: sayChange(most) }));
  };
  say(own.moved.slice(0, spot.position), 'before');
  say(own.moved.slice(spot.position + 1), 'after');
  for (const stack of stacks) if (stack !== own) say(stack.moved, stack.name);
  if (drawn) said.push(t('leak.drawn', { before: percent(drawn.before), after: percent(drawn.after) }));
  return said;
}
