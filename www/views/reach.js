/**
 * Who can know what: the matrix, with the layer after which a row's state can hold something of a token in each cell, as the
 * engine tells it from the mask; and a sentence of the lit row.
 *
 * @typedef {import('./mask.js').Drawn} Drawn
 * @typedef {Record<string, Array<Array<number|null>>>} Reach   [row][token] of each grid; 0 = itself, null = never
 * @typedef {import('../timeline.js').Block & { first: (row: number, key: number) => number|null|undefined }} Reached   first: undefined where nothing is told yet
 */

import { part, setAttribute, setText } from './dom.js';
import { showPieces } from '../pieces.js';
import { sayError } from './status.js';

/** What a layer more leaves of a cell's strength; so many are told apart. */
const FADES = 0.75;
const SHADES = 12;

/** The layer that is shown of a grid, counted from 1. @param {Drawn} frame @param {string} name */
const layerOf = ({ view, layers }, name) => Math.min(view.layer + 1, layers[name] ?? 1);

/**
 * The frame as its matrix is drawn: where reach stands in its place, cells are seen that are known of by the shown layer, all the
 * stronger the sooner, and no head is one's own.
 * @param {Drawn} frame @returns {Drawn}
 */
export function drawnCells(frame) {
  if (frame.view.place !== 'reach') return frame;
  // Of another run its numbers are of other tokens; of another step they hold until those of this one are there.
  const result = frame.reach.old ? null : frame.reach.result;
  const blocks = frame.blocks.map((block) => {
    const told = result?.[block.name];
    const layer = layerOf(frame, block.name);
    const first = (row, key) => told?.[row]?.[key];
    const isKnown = (row, key) => { const n = first(row, key); return n === undefined ? null : n !== null && n <= layer; };
    return {
      ...block, first, visible: isKnown,
      attention: (_layer, _head, row) => told?.[row]?.map((n) => (n === null || n > layer ? 0 : FADES ** Math.min(n, SHADES))) ?? null,
      number: (row, key) => (isKnown(row, key) ? String(first(row, key)) : ''),
    };
  });
  return { ...frame, blocks, view: { ...frame.view, head: 0 } };
}

/** @param {Element} target @param {Drawn} frame */
export function draw(target, frame) {
  const { result, error, waiting } = frame.reach;
  const { t } = frame.view;
  setAttribute(target, 'data-waiting', waiting);
  const words = part(target, 'reach-words', () => document.createElement('p'));
  // What is said of a row waits until it is known of that row.
  if (error || !waiting) setText(words, error ? sayError(error, t) : result ? say(frame) : '');
  setText(part(target, 'reach-how', () => document.createElement('p')), t('reach.how'));
}

/** What the lit row, or the last one, can know of by now. @param {Drawn} frame */
export function say(frame) {
  const { blocks, current, architecture, read, source, target, view: { t } } = frame;
  const main = blocks[blocks.length - 1];
  const stack = architecture === 'encoder' || current?.stack === 'encoder' ? 'encoder' : 'decoder';
  const row = current?.row ?? main.rows - 1;
  const own = /** @type {Reached[]} */ (drawnCells(frame).blocks).filter(({ name }) => (name === 'encoder') === (stack === 'encoder'));
  const count = { n: 0, of: 0, m: 0 };
  own.forEach((block) => {
    const { visible } = frame.blocks[frame.blocks.findIndex(({ name }) => name === block.name)];
    for (let key = 0; key < block.keys; key += 1) {
      count.of += 1;
      if (block.visible(row, key)) count.n += 1;
      if (visible(row, key)) count.m += 1;
    }
  });
  const tokens = architecture === 'encoder' ? read : architecture === 'encoder-decoder' ? target : [...source, ...target];
  return t('reach.row', { row: showPieces(tokens)[row]?.text ?? '', layer: layerOf(frame, own[0].name), ...count });
}

/** What one cell says. @param {Drawn} frame the one that is drawn @param {{ block: string, row: number, key: number }} at @param {{ row: string, key: string }} pieces */
export function describe(frame, at, pieces) {
  const { t } = frame.view;
  const block = /** @type {Reached} */ (frame.blocks.find(({ name }) => name === at.block));
  const n = block.first(at.row, at.key);
  const layer = layerOf(frame, at.block);
  if (n === undefined || frame.reach.waiting) return t('cell.unknown', pieces);
  if (n === 0) return t('reach.cell.self', pieces);
  return n === null || n > layer ? t('reach.cell.never', { ...pieces, layer }) : t('reach.cell.after', { ...pieces, layer: n });
}
