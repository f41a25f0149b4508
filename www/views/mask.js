/**
 * The mask matrix: what each row may see, and how strongly it looks there (chosen layer and head).
 * Hidden cells are hatched, the row that is about to choose is lit. One SVG; with head 'all', one small SVG a head.
 *
 * @typedef {import('../timeline.js').Frame & { view: View, painting: { on: boolean, edits: import('../edits.js').Edit[], rule: string, own: string, prefixEnd: number|null, turns: boolean,
 *   silenced: import('../gates.js').Head[] },
 *   ruled: import('../rules.js').Rule|null, sources: number|null, ran: import('../edits.js').Edit[],
 *   reach: { result: import('./reach.js').Reach|null, error: Error|null, waiting: boolean, old: boolean } }} Drawn
 * @typedef {{ layer: number, head: number|'all', width: number, height: number, font?: number, place: string, least?: number, hover: Spot|null, pinned?: Spot|null,
 *   cell: { block: string, row: number, key: number }|null, t: (key: string, values?: object) => string }} View
 * @typedef {{ stack: 'encoder'|'decoder', position: number }} Spot   position within its own stack
 */

import { make, makeSvg, part, reuse, setAttribute, setAttributes, setText, setVariable } from './dom.js';
import { editAt } from '../edits.js';
import { isSilent } from '../gates.js';
import { LEVELS, SILENT, cellPath, cellPaths, cornerPath, gridPath, groundOf, keyPath, layout, rowPath, strengthOf } from './matrix.js';
import { showPieces } from '../pieces.js';
import { describe, drawnCells } from './reach.js';

const SMALL_GAP = 12;
const SMALLEST_GAP = 4;

/** @param {Element} target @param {Drawn} plain */
export function draw(target, plain) {
  const frame = drawnCells(plain);
  const { view } = frame;
  const many = view.head === 'all';
  const heads = many ? Array.from({ length: Math.max(1, frame.heads) }, (_, head) => head) : [view.head];
  setAttributes(target, { 'data-many': many, 'data-columns': many ? columnsOf(frame.heads) : null,
    'data-waiting': view.place === 'reach' && frame.reach.waiting });
  const figures = reuse(target, heads.length, () => make('figure', { class: 'matrix' }));
  const plan = layout(frame, roomOf(frame));
  figures.forEach((figure, at) => drawFigure(figure, frame, plan, heads[at], many));
}

/** Small matrices stand side by side: more of them where there are more heads, so that all fit on a screen. */
const columnsOf = (heads) => (heads <= 4 ? 2 : heads <= 12 ? 3 : heads <= 32 ? 6 : 8);

/** The room one matrix has; the element asks too, to find the cell under the pointer. */
export function roomOf({ view, heads }) {
  if (view.head !== 'all' || view.place === 'reach') return { width: view.width, height: view.height, font: view.font };
  const columns = columnsOf(heads);
  const gap = columns > 3 ? SMALLEST_GAP : SMALL_GAP;
  const width = (view.width - gap * (columns - 1)) / columns;
  return { width, height: width, bare: true };
}

function drawFigure(figure, frame, plan, head, many) {
  const { view } = frame;
  const svg = part(figure, 'cells', createSvg);
  setAttributes(svg, { viewBox: `0 0 ${plan.width} ${plan.height}`, width: plan.width, height: plan.height });
  // What is below stands still while the run is stepped through.
  setVariable(svg, '--spare', `${Math.round(plan.held - plan.height)}px`);
  const paths = cellPaths(plan, (name) => Math.min(view.layer, (frame.layers[name] ?? 1) - 1), head);
  setAttribute(svg.querySelector('.seen'), 'd', paths.seen);
  setAttribute(svg.querySelector('.hidden'), 'd', paths.hidden);
  svg.querySelectorAll('.level').forEach((path, at) => setAttribute(path, 'd', paths.levels[at + 1]));
  setAttribute(svg.querySelector('.ahead'), 'd', plan.blocks.map(({ x, y, width, height }) => `M${x} ${y}h${width}v${height}h-${width}z`).join(''));
  const silent = silentIn(frame, head);
  setAttribute(svg.querySelector('.silent'), 'd', gridPath(plan, (name) => silent.has(name)));
  setAttribute(svg.querySelector('.edge'), 'd', gridPath(plan, () => true));
  const { current } = frame;
  setAttributes(svg.querySelector('.now'), { d: current ? rowPath(plan, current.stack, current.row) : '', 'stroke-width': Math.max(1, Math.min(2.25, plan.cell / 4)) });
  const hover = view.cell ? null : view.hover;
  setAttribute(svg.querySelector('.looks'), 'd', hover ? rowPath(plan, hover.stack, hover.position) : '');
  setAttribute(svg.querySelector('.looked-at'), 'd', hover ? keyPath(plan, hover.stack, hover.position) : '');
  setAttribute(svg.querySelector('.cursor'), 'd', view.cell ? cellPath(plan, view.cell) : '');
  setAttribute(svg.querySelector('.painted'), 'd', frame.painting.edits.map(({ site, row, key }) => cornerPath(plan, { block: site, row, key })).join(''));
  drawLabels(svg, frame, plan, many);
  drawBlockNames(svg, frame, plan, many, silent);
  drawNumbers(svg, frame, plan, head, many, silent);
  const caption = part(figure, 'head-name', () => make('figcaption', {}, make('span'), make('b')));
  setAttribute(caption, 'hidden', !many);
  setText(caption.firstElementChild, !many ? '' : columnsOf(frame.heads) > 3 ? head + 1 : view.t('head.number', { n: head + 1 }));
  setText(caption.lastElementChild, many && view.cell ? numberOf(frame, view.cell, head) : '');
  setAttributes(figure, { 'data-head': many ? head : null, 'data-silent': frame.blocks.every(({ name }) => silent.has(name)) });
  drawTooltip(figure, frame, plan, many ? null : head);
}

/** The attentions in which this head is silent: an encoder-decoder shows three. @returns {Set<string>} */
const silentIn = ({ blocks, layers, view, painting: { silenced } }, head) => new Set(view.place === 'reach' ? [] : blocks.map(({ name }) => name)
  .filter((name) => isSilent(silenced, { site: name, layer: Math.min(view.layer, (layers[name] ?? 1) - 1), head })));

function createSvg() {
  const svg = makeSvg('svg', { 'aria-hidden': 'true', focusable: 'false' });
  svg.append(makeSvg('path', { class: 'seen' }));
  for (let level = 1; level <= LEVELS; level += 1) {
    svg.append(makeSvg('path', { class: 'level', 'fill-opacity': strengthOf(level).toFixed(3) }));
  }
  svg.append(makeSvg('path', { class: 'hidden' }), makeSvg('path', { class: 'silent', 'fill-opacity': 1 - SILENT }));
  for (const name of ['ahead', 'painted', 'edge', 'looked-at', 'looks', 'now', 'cursor']) svg.append(makeSvg('path', { class: name }));
  for (const name of ['numbers', 'row-labels', 'key-labels', 'block-names']) svg.append(makeSvg('g', { class: name }));
  return svg;
}

/** All labels where there is room; else only those of the row and the cell in question. */
function drawLabels(svg, frame, plan, many) {
  const { view, current } = frame;
  const rowOf = view.cell ? { stack: view.cell.block === 'encoder' ? 'encoder' : 'decoder', position: view.cell.row }
    : view.hover ?? (current ? { stack: current.stack, position: current.row } : null);
  const keyOf = view.cell ? { stack: view.cell.block === 'decoder' || frame.architecture !== 'encoder-decoder' ? frameStack(frame) : 'encoder', position: view.cell.key }
    : view.hover;
  const same = (label, spot) => spot !== null && label.stack === spot.stack && label.index === spot.position;
  const isNow = (label) => current !== null && label.stack === current.stack && label.index === current.row;
  const write = (node, label, attributes) => {
    setAttributes(node, { ...attributes, 'font-size': plan.font, 'data-lit': label.lit, 'data-special': label.special, 'data-now': isNow(label) });
    setText(node, label.text);
  };
  const shown = (labels, spot) => (many ? [] : labels.map((label) => ({ ...label, lit: same(label, spot) }))
    .filter((label) => plan.every || label.lit));
  const rows = shown(plan.rowLabels, rowOf);
  reuse(svg.querySelector('.row-labels'), rows.length, () => makeSvg('text', { 'text-anchor': 'end', 'dominant-baseline': 'central' }))
    .forEach((node, at) => write(node, rows[at], { x: plan.left - 6, y: rows[at].at }));
  const keys = shown(plan.keyLabels, keyOf);
  reuse(svg.querySelector('.key-labels'), keys.length, () => makeSvg('text', { 'dominant-baseline': 'central' }))
    .forEach((node, at) => write(node, keys[at], plan.every ? { transform: `translate(${keys[at].at} ${plan.top - 6}) rotate(-90)`, 'text-anchor': null }
      : { transform: `translate(${keys[at].at} ${plan.top / 2})`, 'text-anchor': 'middle' }));
}

const frameStack = (frame) => (frame.architecture === 'encoder' ? 'encoder' : 'decoder');

/** Names of the three grids of an encoder-decoder, where they leave room. */
function drawBlockNames(svg, frame, plan, many, silent) {
  const group = svg.querySelector('.block-names');
  if (plan.blocks.length < 3 || many) { reuse(group, 0); return; }
  const [encoder, cross, decoder] = plan.blocks;
  const under = plan.height - 3;
  const places = [
    { x: encoder.x + encoder.width + 8, y: encoder.y + plan.font, name: 'encoder' },
    { x: cross.x, y: under, name: 'cross' },
    { x: decoder.x, y: decoder.y - 5, name: 'decoder' },
  ];
  reuse(group, 3, () => makeSvg('text')).forEach((node, at) => {
    const { name, ...place } = places[at];
    setAttributes(node, { ...place, 'font-size': Math.max(10, plan.font - 1), 'data-silent': silent.has(name) });
    setText(node, frame.view.t(`block.${name}`));
  });
}

/** Numbers inside the cells where they are large enough to hold them. */
function drawNumbers(svg, frame, plan, head, many, silent) {
  const numbers = [];
  const told = frame.view.place === 'reach';
  if (plan.cell >= (told ? 13 : 30) && !many) {
    for (const { block, x, y } of plan.blocks) {
      const layer = Math.min(frame.view.layer, (frame.layers[block.name] ?? 1) - 1);
      for (let row = 0; row < block.rows; row += 1) {
        const weights = block.attention(layer, head, row);
        for (let key = 0; weights && key < block.keys; key += 1) {
          if (block.visible(row, key) && weights[key] >= 0.005) {
            numbers.push({ x: x + (key + 0.5) * plan.cell, y: y + (row + 0.5) * plan.cell, ground: groundOf(weights[key], silent.has(block.name)), text: block.number?.(row, key) ?? sayWeight(weights[key]) });
          }
        }
      }
    }
  }
  reuse(svg.querySelector('.numbers'), numbers.length, () => makeSvg('text', { 'text-anchor': 'middle', 'dominant-baseline': 'central' }))
    .forEach((node, at) => {
      const { x, y, ground, text } = numbers[at];
      setAttributes(node, { x, y, 'font-size': Math.round(plan.cell * (told ? 0.5 : plan.share)), 'data-ground': ground });
      setText(node, text);
    });
}

/** An attention, as short as a cell. */
const sayWeight = (p) => (p > 0.995 ? '1' : p.toFixed(2).replace(/^0/, ''));

/** What one cell says, in words and a number. */
export function describeCell(plain, at) {
  const frame = drawnCells(plain);
  const { view } = frame;
  const block = frame.blocks.find(({ name }) => name === at.block);
  if (!block) return null;
  const one = frame.architecture === 'encoder-decoder' ? null : [...frame.read, ...frame.target];
  const rows = one ?? (at.block === 'encoder' ? frame.read : frame.target);
  const keys = one ?? (at.block === 'decoder' ? frame.target : frame.read);
  const [row, key] = [rows, keys].map((tokens, axis) => showPieces(tokens)[axis ? at.key : at.row]?.text ?? '');
  const cell = { site: at.block, row: at.row, key: at.key };
  const [painted, ran] = [editAt(frame.painting.edits, cell), editAt(frame.ran, cell)];
  const text = view.t(cellKey(frame, at, block.visible(at.row, at.key), painted, ran), { row, key });
  // Painted, or painted back, and not computed yet: its number is of the run before.
  if (painted?.visible !== ran?.visible) return { text, number: '' };
  if (view.place === 'reach') return { text: describe(frame, at, { row, key }), number: '' };
  const heads = view.head === 'all' ? Array.from({ length: Math.max(1, frame.heads) }, (_, head) => head) : [view.head];
  const numbers = heads.map((head) => ({ head, number: numberOf(frame, at, head) })).filter(({ number }) => number);
  const named = ({ head, number }) => (heads.length > 1 ? `${view.t('head.number', { n: head + 1 })} ${number}` : number);
  return { text, number: numbers.map(named).join(', ') };
}

/** Which sentence says it. An edit that was taken back and is still in the run that is shown gives way to the rule. */
function cellKey(frame, at, visible, painted, ran) {
  if (painted) return painted.visible ? 'cell.painted.seen' : 'cell.painted.hidden';
  if (ran) return 'cell.painted.back';
  if (visible === false) return `cell.hidden.${whyHidden(frame, at)}`;
  return visible ? 'cell.seen' : 'cell.unknown';
}

/** How much attention a cell holds in one head; nothing where it is hidden. */
function numberOf(frame, at, head) {
  const block = frame.blocks.find(({ name }) => name === at.block);
  const layer = Math.min(frame.view.layer, (frame.layers[at.block] ?? 1) - 1);
  const weight = block?.visible(at.row, at.key) ? block.attention(layer, head, at.row)?.[at.key] : null;
  return weight === null || weight === undefined ? '' : weight.toFixed(3);
}

/** The rule behind a hidden cell, as far as the rule that was chosen, or else the architecture, tells. */
function whyHidden({ architecture, ruled, sources }, { block, row, key }) {
  if (block === 'cross') return sources !== null && key >= sources ? 'sources' : 'mask';
  const rule = block === (architecture === 'encoder' ? 'encoder' : 'decoder') ? ruled : null;
  if (key > row && (rule ? rule.back : block === 'decoder')) return 'future';
  return ['window', 'documents'].includes(rule?.name) ? rule.name : 'mask';
}

/** Words beside the cell in question; with many heads the numbers stand under each and the words with the first. */
function drawTooltip(figure, frame, plan, head) {
  const box = part(figure, 'tooltip', () => make('div', { 'aria-hidden': 'true' }, make('span', { class: 'words' }), make('b')));
  const { cell } = frame.view;
  const first = head !== null || figure.previousElementSibling === null;
  const said = cell && first ? describeCell(frame, cell) : null;
  setAttribute(box, 'hidden', said === null);
  if (!said) return;
  const placed = plan.blocks.find(({ block }) => block.name === cell.block);
  const x = placed.x + (cell.key + 0.5) * plan.cell;
  setVariable(box, '--x', `${x}px`);
  setVariable(box, '--y', `${placed.y + cell.row * plan.cell}px`);
  setVariable(box, '--shift', `${-Math.round((x / Math.max(1, plan.width)) * 100)}%`);
  setText(box.firstElementChild, said.text);
  setText(box.lastElementChild, head === null ? '' : said.number);
}
