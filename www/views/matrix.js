/**
 * Where everything in a mask matrix lies: geometry of a frame, no drawing. An encoder-decoder's three grids are
 * laid out so that they line up with a prefix decoder's single one: source and target as rows and as keys, and
 * an empty corner where the source would look at the target.
 *
 * @typedef {import('../timeline.js').Frame} Frame
 * @typedef {import('../timeline.js').Block} Block
 * @typedef {{ block: Block, x: number, y: number, width: number, height: number }} Placed
 * @typedef {{ text: string, at: number, index: number, stack: 'encoder'|'decoder', special: boolean }} Label
 * @typedef {{ cell: number, left: number, top: number, width: number, height: number, held: number, font: number, share: number, every: boolean,
 *   blocks: Placed[], rowLabels: Label[], keyLabels: Label[] }} Layout   held: the largest height while the run is stepped through
 */

import { shorten, showPieces } from '../pieces.js';

export const LEVELS = 16;
/** How much a silent head keeps of its colours: the card lies over its cells. */
export const SILENT = 0.35;
const LARGEST_CELL = 44;
/** A label's, where the style says no other; what is told of sizes here is of this one. */
const LARGEST_FONT = 13.5;
/** How much of a cell its number may take, in the usual size and at most. */
const SHARES = [0.32, 0.42];
/** Smaller cells have no label each; in one of this size a label is a pixel smaller than it, so that none touches the next. */
const LABEL_CELL = 9;
/** Where only a few labels are drawn (the lit row, what is pointed at), they are this large. */
const FEW_FONT = 11;
const LONGEST_LABEL = 11;

/** Width of a label in ems, near enough to leave room for it. */
export function estimate(text) {
  let ems = 0;
  for (const character of text) ems += /[\u1100-\uFFDC\u{1F000}-\u{3FFFF}]/u.test(character) ? 1.05 : 0.6;
  return ems;
}

/** Leaves room for the next few rows so that a growing run does not resize at every step. */
export function roomFor(count, ended) {
  return ended ? count : Math.ceil((count + 1) / 4) * 4;
}

/** An answer of so many rows has room for all of them from the beginning. */
const SHORT = 16;
/** A longer one has room for so many more at a time. */
const STAGE = 8;

/**
 * For how many rows there is room: for all of a run, where it is short, that nothing moves while it is stepped through. Of a longer
 * one for some more than are shown: forty tokens that are still to come would leave the first ones no size. Never for fewer
 * than `least`: under a brush that has painted nothing becomes larger again, whether another run begins or one steps back.
 * @param {Frame & { view?: { least?: number } }} frame @param {number} [made] choices made, where not those of the frame
 */
export function rowsFor(frame, made = madeIn(frame)) {
  const main = frame.blocks[frame.blocks.length - 1];
  if (frame.architecture === 'encoder') return main.rows;
  const begun = main.rows - madeIn(frame);
  const whole = roomFor(main.wholeRows, frame.ended);
  const rows = frame.ended && whole - begun < SHORT ? whole : Math.min(whole, begun + (Math.floor(made / STAGE) + 1) * STAGE);
  return Math.max(frame.view?.least ?? 0, rows);
}

/** The choices whose rows are shown: at the end nothing looks from the last one. @param {Frame} frame */
const madeIn = ({ position = 0, length = Infinity }) => Math.max(0, Math.min(position, length - 1));

/**
 * @param {Frame & { view?: { least?: number } }} frame
 * @param {{ width: number, height: number, bare?: boolean, font?: number }} room bare: no labels (small multiples); font: the largest label
 * @returns {Layout}
 */
export function layout(frame, room) {
  const drawn = drawnOf(frame);
  const sized = sizeOf(drawn, room, rowsFor(frame));
  return { ...place(frame, drawn, sized), held: Math.max(...stagesOf(frame).map((rows) => sizeOf(drawn, room, rows).height)) };
}

/** For how many rows there is room while a run is stepped through. @param {Frame & { view?: { least?: number } }} frame */
function stagesOf(frame) {
  const stages = [rowsFor(frame, 0)];
  const most = rowsFor(frame, Infinity);
  for (let made = STAGE; stages[stages.length - 1] < most; made += STAGE) stages.push(rowsFor(frame, made));
  return stages;
}

/** What stands beside the cells, and how long the longest of it is. */
function drawnOf(frame) {
  const wired = frame.architecture === 'encoder-decoder';
  const source = labelsOf(frame.read, 'encoder');
  const target = labelsOf(frame.target, 'decoder');
  const first = wired ? frame.blocks[0].rows : 0;
  const stack = frame.architecture === 'encoder' ? 'encoder' : 'decoder';
  const names = wired ? [...source, ...target.map((label) => ({ ...label, at: label.at + first }))]
    : [...source, ...target].map((label, at) => ({ ...label, stack, at, index: at }));
  return { wired, first, names, longest: names.reduce((most, label) => Math.max(most, estimate(label.text)), 0) };
}

/** With all labels where there is room for them. */
function sizeOf(drawn, room, rows) {
  const labelled = room.bare ? null : measure(drawn, room, rows, true);
  return labelled && labelled.cell >= LABEL_CELL ? labelled : measure(drawn, room, rows, false);
}

/** The size of a cell and of all of them, and the room for labels beside them. */
function measure({ wired, first, longest }, { width, height, bare = false, font: largest = LARGEST_FONT }, rows, every) {
  const scale = largest / LARGEST_FONT;
  const gap = wired ? 1 : 0;
  const count = rows + first;
  const few = FEW_FONT * scale;
  const fitting = Math.min(width, height) / (count + 0.6 * gap);
  const font = every || bare ? Math.max(9, Math.min(largest, fitting * 0.62)) : few;
  const left = bare ? 1 : Math.min(width * 0.3, longest * font + 10);
  const top = bare ? 1 : every ? left : few + 6;
  const foot = bare || !wired ? 2 : font + 8;
  const free = Math.min((width - left - 2) / (count + 0.6 * gap), (height - top - foot) / (count + 0.6 * gap), LARGEST_CELL * scale);
  const cell = free >= 7 ? Math.floor(free) : Math.max(2, Math.floor(free * 10) / 10);
  const space = wired ? Math.max(4, Math.round(cell * 0.6)) : 0;
  const offset = first ? first * cell + space : 0;
  return {
    rows, count, cell, space, offset, left, top, every, font: every ? Math.min(font, cell - 1) : font, share: Math.min(SHARES[0] * scale, SHARES[1]),
    width: left + offset + rows * cell + 2, height: top + offset + rows * cell + foot,
  };
}

/** Where each grid and each label lies. @returns {any} a layout */
function place(frame, { wired, first, names }, { rows, count, cell, space, offset, left, top, ...sizes }) {
  const main = frame.blocks[frame.blocks.length - 1];
  const placed = (block, x, y, blockRows, blockKeys) => ({ block, x, y, width: blockKeys * cell, height: blockRows * cell });
  const blocks = wired
    ? [placed(frame.blocks[0], left, top, first, first), placed(frame.blocks[1], left, top + offset, rows, first),
      placed(frame.blocks[2], left + offset, top + offset, rows, rows)]
    : [placed(main, left, top, rows, rows)];
  const middle = (label) => label.at * cell + cell / 2 + (wired && label.stack === 'decoder' ? space : 0);
  const held = names.filter((label) => label.at < count && (label.stack === 'encoder' || label.index < main.rows));
  const along = (start) => held.map((label) => ({ ...label, at: start + middle(label) }));
  return { ...sizes, cell, left, top, blocks, rowLabels: along(top), keyLabels: along(left) };
}

function labelsOf(tokens, stack) {
  return showPieces(tokens).map((shown, at) => (
    { text: shorten(shown.text, LONGEST_LABEL), at, index: at, stack, special: shown.kind === 'special' }));
}

/**
 * Which cell lies under a point.
 * @param {Layout} plan
 * @returns {{ block: Block['name'], row: number, key: number }|null}
 */
export function cellAt(plan, x, y) {
  for (const { block, x: left, y: top } of plan.blocks) {
    const key = Math.floor((x - left) / plan.cell);
    const row = Math.floor((y - top) / plan.cell);
    if (row >= 0 && key >= 0 && row < block.rows && key < block.keys) return { block: block.name, row, key };
  }
  return null;
}

/** Strength of a cell as a step of the ramp; small probabilities stay apart from nothing. */
export function levelOf(probability) {
  if (!(probability > 0)) return 0;
  return Math.max(1, Math.min(LEVELS, Math.round(probability ** 0.65 * LEVELS)));
}

/** How much of its colour a cell of a level has. @param {number} level */
export const strengthOf = (level) => (level ? 0.1 + 0.9 * (level / LEVELS) : 0);

/** What a number stands on: strong colour, where the card's own is read best, or the middle of the ramp, where in either theme a dark one is. @param {number} weight @param {boolean} isFaint of a silent head */
export function groundOf(weight, isFaint) {
  const strength = strengthOf(levelOf(weight)) * (isFaint ? SILENT : 1);
  return strength > 0.8 ? 'strong' : strength > 0.6 ? 'middle' : null;
}

/**
 * The cells as few path strings: one for all that is seen, one a level of the ramp, one of hatching.
 * @param {Layout} plan
 * @param {(name: Block['name']) => number} layerOf  layer (0-based) to show in each block
 * @param {number} head
 */
export function cellPaths(plan, layerOf, head) {
  const { cell } = plan;
  const inset = cell >= 8 ? 0.5 : cell >= 5 ? 0.25 : 0;
  const size = round(cell - 2 * inset);
  const levels = Array.from({ length: LEVELS + 1 }, () => '');
  let seen = '';
  let hidden = '';
  for (const { block, x, y } of plan.blocks) {
    for (let row = 0; row < block.rows; row += 1) {
      const weights = block.attention(layerOf(block.name), head, row);
      for (let key = 0; key < block.keys; key += 1) {
        const left = round(x + key * cell);
        const top = round(y + row * cell);
        const visible = block.visible(row, key);
        if (visible === false) {
          hidden += hatch(left, top, cell);
        } else if (visible) {
          const square = `M${round(left + inset)} ${round(top + inset)}h${size}v${size}h-${size}z`;
          seen += square;
          const level = weights ? levelOf(weights[key]) : 0;
          if (level) levels[level] += square;
        }
      }
    }
  }
  return { seen, hidden, levels };
}

/** Diagonals of one cell, as dense in a large cell as in a small one; they run on into the next cell. */
function hatch(left, top, cell) {
  const count = Math.max(1, Math.round(cell / 10));
  let lines = '';
  for (let at = 1; at < 2 * count; at += 1) {
    const along = (at * cell) / count;
    const over = Math.max(0, along - cell);
    const reach = Math.min(cell, along);
    lines += `M${round(left + over)} ${round(top + reach)}L${round(left + reach)} ${round(top + over)}`;
  }
  return lines;
}

/** All cells of these grids, each grid as one area. @param {Layout} plan @param {(name: Block['name']) => boolean} isMeant */
export function gridPath(plan, isMeant) {
  return plan.blocks.filter(({ block }) => isMeant(block.name)).map(({ block, x, y }) => {
    const [width, height] = [block.keys * plan.cell, block.rows * plan.cell];
    return `M${x} ${y}h${width}v${height}h-${width}z`;
  }).join('');
}

const round = (value) => Math.round(value * 100) / 100;

/** Outlines: one row (across every block of its stack), one key's column, one cell. */
export function rowPath(plan, stack, row) {
  return plan.blocks.filter(({ block }) => (stack === 'encoder') === (block.name === 'encoder') && row < block.rows)
    .map(({ block, x, y }) => `M${x} ${round(y + row * plan.cell)}h${block.keys * plan.cell}v${plan.cell}h-${block.keys * plan.cell}z`).join('');
}

export function keyPath(plan, stack, key) {
  return plan.blocks.filter(({ block }) => (stack === 'encoder') === (block.name !== 'decoder') && key < block.keys)
    .map(({ block, x, y }) => `M${round(x + key * plan.cell)} ${y}v${block.rows * plan.cell}h${plan.cell}v-${block.rows * plan.cell}z`).join('');
}

/** A cell's upper right corner: the mark of a painted one, in a small cell as in a large one. */
export function cornerPath(plan, at) {
  const placed = plan.blocks.find(({ block }) => block.name === at.block);
  if (!placed || at.row >= placed.block.rows || at.key >= placed.block.keys) return '';
  const size = round(Math.max(2.5, plan.cell * 0.45));
  return `M${round(placed.x + (at.key + 1) * plan.cell - size)} ${round(placed.y + at.row * plan.cell)}h${size}v${size}z`;
}

export function cellPath(plan, at) {
  const placed = plan.blocks.find(({ block }) => block.name === at.block);
  if (!placed || at.row >= placed.block.rows || at.key >= placed.block.keys) return '';
  return `M${round(placed.x + at.key * plan.cell)} ${round(placed.y + at.row * plan.cell)}h${plan.cell}v${plan.cell}h-${plan.cell}z`;
}
