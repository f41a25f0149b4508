/**
 * What a model costs, in two small tables (its parameters by part; the shown step with what is held and without), and from
 * which of the shown tokens it would learn.
 *
 * @typedef {import('../timeline.js').Frame & { description: import('../cost.js').Description|null, device: import('../timeline.js').DeviceInfo|null,
 *   ruled: object|null, ran: object[], view: { t: (key: string, values?: object) => string } }} Drawn
 */

import { bytesOf, countOf } from '../amounts.js';
import { learnsFrom, partsOf, stepOf, tableOf } from '../cost.js';
import { make, part, percent, reuse, setAttribute, setAttributes, setText, setVariable } from './dom.js';
import { timeOf } from './stats.js';

/** @param {Element} target @param {Drawn} frame */
export function draw(target, frame) {
  const { description, view: { t } } = frame;
  if (!description) return;
  drawParts(part(target, 'cost-parts', makeTable), description, t);
  setText(part(target, 'cost-shape', () => make('p')), sayShape(description, t));
  const step = stepOf(frame, description);
  const lines = part(target, 'cost-step', makeTable);
  setAttributes(lines, { hidden: step === null, 'data-waiting': frame.waiting });
  if (step) drawStep(lines, frame, step.lines, t);
  setText(part(target, 'cost-measured', () => make('p')), sayMeasured(frame, t));
  setText(part(target, 'cost-held', () => make('p')), step ? sayHeld(frame, description, step, t) : '');
  drawLearnt(part(target, 'cost-learns', () => make('div', {}, make('p'), make('div', { class: 'cost-marks', 'aria-hidden': 'true' }))), frame, description, t);
  setText(part(target, 'cost-how', () => make('p')), t('cost.how'));
}

const makeTable = () => make('table', {}, make('colgroup', {}, ...['name', 'bars', 'number', 'more'].map((name) => make('col', { class: `cost-${name}` }))),
  make('thead', {}, make('tr', {}, make('th', { scope: 'col' }), make('th', { scope: 'colgroup', colspan: 2 }), make('th', { scope: 'col' }))), make('tbody'));

/** @param {number} number the whole of it, for who points at it */
const whole = (number) => number.toLocaleString('en');

/**
 * A line a name: a bar, the number, and what else there is.
 * @param {Element} table
 * @param {Array<{ name: string, share: number, number: number, more: string, sum?: boolean }>} lines
 */
function drawLines(table, lines) {
  const rows = reuse(table.lastElementChild, lines.length, () => make('tr', {}, make('th', { scope: 'row' }), make('td', {}, make('span', { class: 'bar' }, make('i'))), make('td'), make('td')));
  rows.forEach((row, at) => {
    const { name, share, number, more, sum } = lines[at];
    const [head, bar, count, last] = row.children;
    setAttribute(row, 'data-sum', Boolean(sum));
    setText(head, name);
    setAttribute(bar.firstElementChild, 'hidden', Boolean(sum));
    setVariable(bar.firstElementChild, '--p', share.toFixed(4));
    setText(count, countOf(number));
    setAttribute(count, 'title', whole(number));
    setText(last, more);
  });
}

function drawHead(table, name, numbers, more) {
  const texts = [name, numbers, more];
  for (const [at, cell] of [...table.tHead.rows[0].cells].entries()) setText(cell, texts[at]);
}

function drawParts(table, description, t) {
  const { parameters } = description;
  drawHead(table, t('cost.parts'), t('cost.numbers'), t('cost.share'));
  drawLines(table, [
    ...partsOf(description).map(({ part: name, parameters: number }) => ({ name: t(`cost.part.${name}`), share: number / parameters, number, more: percent(number / parameters) })),
    { name: t('cost.all'), share: 1, number: parameters, more: '', sum: true },
  ]);
}

/** Layers, a stack each, and that a table which is used twice is counted once. */
function sayShape(description, t) {
  const { stacks, stored, vocabulary } = description;
  const layers = (stack) => (stack.distinct_layers < stack.layers ? t('fact.layers.shared', { n: stack.layers, of: stack.distinct_layers }) : stack.layers);
  const said = stacks.encoder && stacks.decoder ? [t('cost.layers.two', { encoder: layers(stacks.encoder), decoder: layers(stacks.decoder) })]
    : [t('cost.layers', { n: layers(stacks.decoder ?? stacks.encoder) })];
  if (stored.tied) said.push(t('cost.tied', { v: vocabulary, e: tableOf(description) / vocabulary }));
  return said.join(' ');
}

function drawStep(table, frame, lines, t) {
  drawHead(table, t(frame.architecture === 'encoder' ? 'cost.pass' : 'cost.step'), t('cost.multiplications'), t('cost.rows'));
  const most = Math.max(...lines.map(({ multiplications }) => multiplications));
  drawLines(table, lines.map(({ name, rows, multiplications }) => ({ name: t(`cost.line.${name}`), share: multiplications / most, number: multiplications, more: String(rows) })));
}

/** What the engine had to do in this very run: less, where it held more. @param {Drawn} frame */
function sayMeasured({ stats, device }, t) {
  if (!stats) return '';
  const { rows_computed: rows, dispatches, submits, readbacks, milliseconds } = stats;
  const said = [t('stats.rows', { n: rows }), t('stats.time', { n: timeOf(milliseconds) })];
  if (dispatches) said.push(t(device?.backend === 'cpu' ? 'stats.ops' : 'stats.dispatches', { n: dispatches }));
  if (submits) said.push(t('cost.submits', { n: submits }));
  if (readbacks) said.push(t('cost.readbacks', { n: readbacks }));
  return t('cost.measured', { list: said.join(' · ') });
}

/** What is held for the next step, and why it may be. @param {Drawn} frame */
function sayHeld({ architecture, ruled, ran }, { stacks }, { held }, t) {
  const said = [];
  if (held) said.push(t(held.source ? 'cost.held.both' : 'cost.held', { size: bytesOf(held.bytes), n: held.rows, source: held.source }));
  if (held?.alike) said.push(t('cost.alike', { kept: stacks.decoder.kv_heads, heads: stacks.decoder.heads, size: bytesOf(held.alike) }));
  // Under another mask it may be otherwise.
  if (!ruled && !ran.length) said.push(t(`cost.keeps.${architecture}`));
  return said.join(' ');
}

function drawLearnt(target, frame, description, t) {
  const learnt = learnsFrom(frame, description);
  setAttribute(target, 'hidden', learnt === null);
  if (!learnt) return;
  const { kind, n, of, words, marks } = learnt;
  const [said, strip] = target.children;
  setText(said, t(`cost.learns.${kind}`, { n, of, words }));
  reuse(strip, of, () => make('i')).forEach((mark, at) => {
    setAttributes(mark, { 'data-learnt': marks[at], 'data-first': frame.architecture === 'encoder-decoder' && at === frame.source.length });
  });
}
