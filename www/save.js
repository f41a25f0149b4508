/**
 * What of a machine goes into files: the numbers that are shown as a table for a spreadsheet, and a run as a trace that
 * plays again with no engine. Pure.
 *
 * @typedef {import('./timeline.js').Frame} Frame
 * @typedef {import('./timeline.js').Timeline} Timeline
 * @typedef {string|number|null} Field
 */

import { partsOf, stepOf } from './cost.js';
import { writeEdits } from './edits.js';
import { writeSilenced } from './gates.js';
import { showPieces } from './pieces.js';
import { cameTo } from './rules.js';
import { cleanText } from './state.js';

/** Of a name of somebody's own. */
const LONGEST_NAME = 40;

/**
 * A file's name, of letters that every system takes: `unmasked-causal-layer6-head1.svg`.
 * @param {string} name an architecture, or a model's own name
 * @param {string} of what of it
 * @param {string} ending
 */
export function fileName(name, of, ending) {
  const plain = name.toLowerCase().replace(/[^a-z0-9]+/g, '-').slice(0, LONGEST_NAME).replace(/^-|-$/g, '');
  return `unmasked-${[plain || 'model', of].join('-')}.${ending}`;
}

/** The shown layer and head, as a part of a name. @param {{ layer: number, head: number|'all' }} view */
export const shownPart = ({ layer, head }) => `layer${layer + 1}-${head === 'all' ? 'heads' : `head${head + 1}`}`;

/** What a spreadsheet would take for a formula, in East Asia also by its wide signs. */
const FORMULA = /^[=+\-@\t\r\uFF1D\uFF0B\uFF0D\uFF20]/;

/** One field as RFC 4180 has it. A text that begins like a formula gets an apostrophe, so that it stays a text. @param {Field} value */
function field(value) {
  if (typeof value !== 'string') return value === null ? '' : String(value);
  const text = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A table as CSV. The mark before it tells spreadsheets that it is UTF-8. @param {Field[][]} lines */
export const writeCsv = (lines) => `\uFEFF${lines.map((line) => `${line.map(field).join(',')}\r\n`).join('')}`;

/** The layer that is shown of a block: where it has fewer, its last one. @param {Frame} frame @param {string} name @param {number} layer */
export const layerOf = ({ layers }, name, layer) => Math.min(layer, (layers[name] ?? 1) - 1);

/** The pieces beside a block's rows and above its keys. @param {Frame} frame @param {string} name */
function piecesOf({ architecture, read, target }, name) {
  const of = (tokens) => showPieces(tokens).map(({ text }) => text);
  if (architecture !== 'encoder-decoder') return { rows: of([...read, ...target]), keys: of([...read, ...target]) };
  return { rows: of(name === 'encoder' ? read : target), keys: of(name === 'decoder' ? target : read) };
}

/**
 * The matrix as a table, a line a cell: what a pivot table, or a filter, wants. Layers and heads count from 1, rows and keys
 * from 0, as they do in the element's attributes.
 * @param {Frame & { view: { layer: number, head: number|'all' } }} frame
 * @returns {Field[][]}
 */
export function matrixTable(frame) {
  const { blocks, heads, view } = frame;
  const shown = view.head === 'all' ? Array.from({ length: Math.max(1, heads) }, (_, head) => head) : [view.head];
  /** @type {Field[][]} */
  const lines = [['block', 'layer', 'head', 'row', 'row_piece', 'key', 'key_piece', 'visible', 'attention']];
  for (const { name, rows, keys, visible, attention } of blocks) {
    const layer = layerOf(frame, name, view.layer);
    const pieces = piecesOf(frame, name);
    for (const head of shown) {
      for (let row = 0; row < rows; row += 1) {
        const weights = attention(layer, head, row);
        for (let key = 0; key < keys; key += 1) {
          const seen = visible(row, key);
          // A hidden key has none; what was not brought back is not known.
          const weight = weights ? weights[key] ?? (seen === false ? 0 : null) : null;
          lines.push([name, layer + 1, head + 1, row, pieces.rows[row] ?? '', key, pieces.keys[key] ?? '', seen === null ? null : Number(seen), weight]);
        }
      }
    }
  }
  return lines;
}

/**
 * Who knows what as a table, a line a cell: after how many layers a row can hold something of a token, as far as all of them go; none where it never can.
 * @param {Frame} frame @param {import('./views/reach.js').Reach} reach
 * @returns {Field[][]}
 */
export function reachTable(frame, reach) {
  /** @type {Field[][]} */
  const lines = [['block', 'row', 'row_piece', 'token', 'token_piece', 'known_after_layer']];
  for (const { name } of frame.blocks) {
    const pieces = piecesOf(frame, name);
    reach[name]?.forEach((tokens, row) => tokens.forEach((layer, token) => lines.push([name, row, pieces.rows[row] ?? '', token, pieces.keys[token] ?? '', layer])));
  }
  return lines;
}

/**
 * The leak test as a table, a line a row: how far its state moved after so many layers.
 * @param {import('./leak.js').Leak} leak
 * @returns {Field[][]}
 */
export function leakTable({ spot, other, stacks }) {
  const most = Math.max(...stacks.flatMap(({ moved }) => moved.map((layers) => layers.length)), 0);
  /** @type {Field[][]} */
  const lines = [['block', 'row', 'piece', 'exchanged_for', ...Array.from({ length: most }, (_, layer) => `layer_${layer}`)]];
  for (const { name, tokens, moved } of stacks) {
    showPieces(tokens).forEach(({ text }, row) => {
      const isIt = spot.stack === name && spot.position === row;
      lines.push([name, row, text, isIt ? showPieces([other])[0].text : null, ...Array.from({ length: most }, (_, layer) => moved[row][layer] ?? null)]);
    });
  }
  return lines;
}

/**
 * Two blanks as a table, a line a pair of guesses: how likely each is apart, how likely the second is with the first filled in, and both together.
 * @param {import('./blanks.js').Two} two
 * @returns {Field[][]}
 */
export function blanksTable({ rows, seconds, given }) {
  const name = (/** @type {import('./blanks.js').Guess} */ guess) => showPieces([guess])[0].text;
  return [
    ['first_row', 'first', 'first_alone', 'second_row', 'second', 'second_alone', 'second_given_first', 'apart', 'together', 'bits'],
    ...given.flatMap(({ guess, shares, bits }) => seconds.map((second, at) => [
      rows[0], name(guess), guess.probability, rows[1], name(second), second.probability, shares[at], guess.probability * second.probability, guess.probability * shares[at], bits,
    ])),
  ];
}

/**
 * What a model stores and what the shown step costs as a table, a line a line of it.
 * @param {Frame} frame @param {import('./cost.js').Description} description
 * @returns {Field[][]}
 */
export function costTable(frame, description) {
  const lines = stepOf(frame, description)?.lines ?? [];
  return [
    ['what', 'name', 'rows', 'number'],
    ...partsOf(description).map(({ part, parameters }) => ['parameters', part, null, parameters]), ['parameters', 'all', null, description.parameters],
    ...lines.map(({ name, rows, multiplications }) => ['multiplications', name, rows, multiplications]),
  ];
}

/**
 * What a model is trained on as a table, a line a position: what is given, what is wanted there, and whether a loss is taken.
 * @param {import('./objective.js').Objective} objective
 * @returns {Field[][]}
 */
export function objectiveTable({ parts }) {
  const name = (/** @type {import('./objective.js').Piece|null} */ piece) => piece && (piece.sign ?? piece.text);
  return [
    ['part', 'row', 'given', 'wanted', 'loss'],
    ...parts.flatMap(({ name: part, columns }) => columns.map(({ given, wanted, loss }, row) => [part, row, name(given), name(wanted), Number(loss)])),
  ];
}

/**
 * What a run was asked for, whatever is asked by now: of one that was made here its question tells, of a stored one its scene.
 * @param {Timeline} timeline
 * @returns {Record<string, any>}
 */
function askedIn({ question, header: { scene } }) {
  if (question === null) return typeof scene === 'object' && scene !== null ? scene : {};
  const [text, pair, blanks, fill, sampling, language, sourcelanguage] = JSON.parse(question);
  return { text, pair, blanks, fill, sampling, language, sourcelanguage };
}

/** The text that a run read, both sentences of two; '' where a stored one does not tell. @param {Timeline} timeline */
export function textIn(timeline) {
  const { text, pair } = askedIn(timeline);
  return [text, pair].filter((one) => typeof one === 'string' && one !== '').map(cleanText).join(' / ');
}

/**
 * What a run was asked for, as the attributes of a scene.
 * @param {{ timeline: Timeline, blanked: number[], fills: boolean }} machine
 * @param {{ architecture: string, view: { layer: number, head: number|'all', place?: string } }} shown
 * @returns {Record<string, any>}
 */
export function sceneOf({ timeline, blanked, fills }, { architecture, view: { layer, head, place } }) {
  const shown = { architecture, layer: layer + 1, head: head === 'all' ? head : head + 1, ...place === 'table' ? { look: place } : {} };
  const asked = askedIn(timeline);
  // A stored run has what it was stored with.
  if (timeline.question === null) return { ...asked, ...shown };
  const { text, pair, blanks, fill, sampling, language, sourcelanguage } = asked;
  const { temperature, topK, topP, seed } = sampling ?? {};
  const told = {
    ...shown, text, pair, ...fills ? { blanks: (blanks ?? blanked).join(' '), fill } : {}, temperature, topk: topK, topp: topP, seed, language, sourcelanguage,
    // A prefix ends where it came to end: of a stored run nobody would know.
    mask: cameTo(timeline.rule, timeline.prefixEnd ?? null, { rows: timeline.header.tokens.length, source: timeline.header.source_length ?? timeline.header.tokens.length, writes: architecture !== 'encoder' }), edits: writeEdits(timeline.edits), silenced: writeSilenced(timeline.silenced),
  };
  return Object.fromEntries(Object.entries(told).filter(([name, value]) => value !== undefined && value !== null && (value !== '' || name === 'blanks')));
}

/**
 * A run as a trace: what the attribute `trace` plays again, each frame as it was. A copy, as plain as the file that it becomes.
 * @param {Timeline} timeline
 * @param {object} told
 * @param {import('./timeline.js').DeviceInfo|null} told.device
 * @param {any} told.description of the model; null of a stored run, which has kept what it needs
 * @param {any} told.verdict what heads other than the vocabulary's said
 * @param {object} told.scene
 */
export function traceOf({ header, steps }, { device, description, verdict, scene }) {
  // The text is that of the beginning, which later steps went on from.
  const { text: _, ...rest } = /** @type {any} */ (header);
  const named = description && description.family !== 'unmasked' ? { name: description.name, objective: description.objective } : {};
  return JSON.parse(JSON.stringify({
    version: 1, ...rest, model: header.model && { ...header.model, ...named }, device: device ?? header.device, special: description?.special ?? header.special,
    ...verdict ? { forward: { ...header.forward, heads: verdict } } : {}, steps, scene,
  }));
}
