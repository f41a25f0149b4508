/** What is taken along as a file: tables that a spreadsheet reads as they are, and runs that play again as they were. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { blanksTable, costTable, fileName, leakTable, matrixTable, objectiveTable, sceneOf, shownPart, textIn, traceOf, writeCsv } from '../../www/save.js';
import { Timeline, signsOf } from '../../www/timeline.js';
import { checkTrace, departuresOf, saidOf } from '../../www/trace.js';
import { COLOURS, wrap } from '../../www/views/figure.js';
import { estimate } from '../../www/views/matrix.js';

const SPECIAL = { bos: 1, eos: 3, mask: 4, none: null };
const token = (id, piece, special = false) => ({ id, piece, special, space: false });
const candidate = (id, piece, probability) => ({ id, piece, probability, kept: true });

function causal() {
  const timeline = new Timeline({
    model: { architecture: 'causal' }, tokens: [token(1, '[BOS]', true), token(9, '=a')], source_length: 2, truncated: 0, text: '',
    forward: { mask: { decoder: ['10', '11'] } },
  }, signsOf(SPECIAL, 'causal'));
  timeline.push({ row: 1, chosen: 20, piece: 'b,"', rows: [0, 1], candidates: [candidate(20, 'b,"', 0.6)], attention: { decoder: [[[[1, 0], [0.25, 0.75]]]] }, mask: { decoder: ['10', '11'] }, forced: true, own: 21 });
  timeline.push({ row: 2, chosen: 3, piece: '[EOS]', rows: [2], candidates: [candidate(3, '[EOS]', 0.9)], ended: 'eos', attention: { decoder: [[[[0.1, 0.2, 0.7]]]] }, mask: { decoder: ['111'] } });
  Object.assign(timeline, { question: JSON.stringify(['=a', undefined, null, 'parallel', { temperature: 0.5, topP: 1, seed: 4 }]), edits: [{ site: 'decoder', row: 2, key: 0, visible: false }], rule: 'prefix:2', silenced: [{ site: 'decoder', layer: 0, head: 1 }] });
  return timeline;
}
const drawn = (timeline, at, view) => /** @type {any} */ ({ ...timeline.frame(at), view });

test('names are of letters that every system takes', () => {
  assert.equal(fileName('causal', shownPart({ layer: 5, head: 0 }), 'svg'), 'unmasked-causal-layer6-head1.svg');
  assert.equal(fileName('encoder-decoder', shownPart({ layer: 0, head: 'all' }), 'png'), 'unmasked-encoder-decoder-layer1-heads.png');
  assert.equal(fileName('../GPT 2 (small)…', 'run', 'json'), 'unmasked-gpt-2-small-run.json');
  assert.equal(fileName('模型', 'run', 'json'), 'unmasked-model-run.json');
});

test('a field is quoted where it has to be, and none begins a formula', () => {
  const csv = writeCsv([['a,b', 'say "x"', 'two\nlines', 1, null, 0.25], ['=1+1', '+1', '-', '@x', '＝1', "'", 'a=b'], [-0.5]]);
  assert.equal(csv, '\uFEFF"a,b","say ""x""","two\nlines",1,,0.25\r\n\'=1+1,\'+1,\'-,\'@x,\'＝1,\',a=b\r\n-0.5\r\n');
});

test('a matrix is a line a cell: what is hidden has no attention, what was not told has no number', () => {
  const [head, ...lines] = matrixTable(drawn(causal(), 1, { layer: 3, head: 0 }));
  assert.deepEqual(head, ['block', 'layer', 'head', 'row', 'row_piece', 'key', 'key_piece', 'visible', 'attention']);
  assert.deepEqual(lines, [
    ['decoder', 1, 1, 0, '[BOS]', 0, '[BOS]', 1, 1], ['decoder', 1, 1, 0, '[BOS]', 1, '=a', 0, 0], ['decoder', 1, 1, 0, '[BOS]', 2, 'b,"', 0, 0],
    ['decoder', 1, 1, 1, '=a', 0, '[BOS]', 1, 0.25], ['decoder', 1, 1, 1, '=a', 1, '=a', 1, 0.75], ['decoder', 1, 1, 1, '=a', 2, 'b,"', 0, 0],
    ['decoder', 1, 1, 2, 'b,"', 0, '[BOS]', 1, 0.1], ['decoder', 1, 1, 2, 'b,"', 1, '=a', 1, 0.2], ['decoder', 1, 1, 2, 'b,"', 2, 'b,"', 1, 0.7],
  ]);
  const frame = drawn(causal(), 0, { layer: 0, head: 'all' });
  assert.deepEqual(matrixTable({ ...frame, heads: 2 }).slice(1).map((line) => [line[2], line[8]]), [[1, 1], [1, 0], [1, 0.25], [1, 0.75], [2, null], [2, null], [2, null], [2, null]]);
});

test('three grids have their own pieces and their own last layer', () => {
  const grid = (name, rows, keys) => ({ name, rows, keys, visible: () => true, attention: (layer) => Array(keys).fill(layer) });
  const frame = /** @type {any} */ ({
    architecture: 'encoder-decoder', read: [token(1, 'x'), token(2, 'y')], target: [token(3, 'z')], heads: 1, layers: { encoder: 1, cross: 4, decoder: 4 },
    blocks: [grid('encoder', 2, 2), grid('cross', 1, 2), grid('decoder', 1, 1)], view: { layer: 2, head: 0 },
  });
  assert.deepEqual(matrixTable(frame).slice(1).map(([block, layer, , , row, , key, , weight]) => [block, layer, row, key, weight].join(' ')),
    ['encoder 1 x x 0', 'encoder 1 x y 0', 'encoder 1 y x 0', 'encoder 1 y y 0', 'cross 3 z x 2', 'cross 3 z y 2', 'decoder 3 z z 2']);
});

test('a leak test is a line a row, with the token that was exchanged beside its own', () => {
  const leak = /** @type {any} */ ({
    spot: { stack: 'encoder', position: 1 }, token: token(2, 'y'), other: token(5, '-'),
    stacks: [{ name: 'encoder', tokens: [token(1, 'x'), token(2, 'y')], moved: [[0, 0], [0.5, 2]] }, { name: 'decoder', tokens: [token(3, 'z')], moved: [[0, 0.25, 1]] }],
  });
  assert.deepEqual(leakTable(leak), [
    ['block', 'row', 'piece', 'exchanged_for', 'layer_0', 'layer_1', 'layer_2'],
    ['encoder', 0, 'x', null, 0, 0, null], ['encoder', 1, 'y', '-', 0.5, 2, null], ['decoder', 0, 'z', null, 0, 0.25, 1],
  ]);
});

test('two blanks are a line a pair, apart and together; what a model costs is a line a part and a line a way', () => {
  const guess = (id, piece, probability) => ({ id, piece, probability });
  const two = /** @type {any} */ ({ rows: [1, 3], seconds: [guess(1, 'x', 0.5), guess(2, '=y', 0.25)], given: [{ guess: guess(3, 'z', 0.5), shares: [0.25, 0.75], bits: 1.5 }] });
  assert.deepEqual(blanksTable(two), [
    ['first_row', 'first', 'first_alone', 'second_row', 'second', 'second_alone', 'second_given_first', 'apart', 'together', 'bits'],
    [1, 'z', 0.5, 3, 'x', 0.5, 0.25, 0.25, 0.125, 1.5], [1, 'z', 0.5, 3, '=y', 0.25, 0.75, 0.125, 0.375, 1.5],
  ]);
  const description = /** @type {any} */ ({
    architecture: 'causal', parameters: 12, width: 2, ledger: [{ part: 'heads', parameters: 7 }, { part: 'embeddings', parameters: 5 }], cost: [{ keys: 1, multiplications_cached: 60 }],
    stacks: { decoder: { layers: 1, distinct_layers: 1, heads: 1, kv_heads: 1, head_width: 2, feed_forward_width: 2, gated: false } }, stored: { tied: true },
  });
  const frame = drawn(causal(), 1, { layer: 0, head: 0 });
  // A row has 24 multiplications in its matrices, 4 a key that it sees, and 32 in the table.
  assert.deepEqual(costTable(frame, description), [
    ['what', 'name', 'rows', 'number'], ['parameters', 'embeddings', null, 5], ['parameters', 'heads', null, 7], ['parameters', 'all', null, 12],
    ['multiplications', 'cached', 1, 24 + 3 * 4 + 32], ['multiplications', 'recomputed', 3, 3 * 24 + 6 * 4 + 32],
  ]);
});

test('what a model is trained on is a line a position, of both parts where there are two', () => {
  const piece = (text, more = {}) => ({ text, special: false, continues: false, begins: true, ...more });
  const column = (given, wanted = null) => ({ given, wanted, loss: wanted !== null, changed: false });
  const parts = [
    { name: 'source', columns: [column(piece('=x')), column(piece('[MASK]', { special: true }))] },
    { name: 'target', columns: [column(piece('', { sign: 'start' }), piece('=x')), column(piece('=x'), piece('', { sign: 'end' }))] },
  ];
  assert.deepEqual(objectiveTable(/** @type {any} */ ({ parts })), [
    ['part', 'row', 'given', 'wanted', 'loss'], ['source', 0, '=x', null, 0], ['source', 1, '[MASK]', null, 0], ['target', 0, 'start', '=x', 1], ['target', 1, '=x', 'end', 1],
  ]);
});

/** All that a frame tells. */
const told = (timeline) => Array.from({ length: timeline.length + 1 }, (_, at) => {
  const { blocks, ...frame } = timeline.frame(at);
  return JSON.parse(JSON.stringify([frame, blocks.map(({ name, rows, keys, wholeRows, wholeKeys, visible, attention }) => [name, wholeRows, wholeKeys,
    Array.from({ length: rows }, (_1, row) => [Array.from({ length: keys }, (_2, key) => visible(row, key)), [0, 1, 2].map((layer) => attention(layer, 0, row))])])]));
});
const stored = (timeline, more = {}) => {
  const trace = traceOf(timeline, { device: { backend: 'cpu' }, description: { family: 'unmasked', special: SPECIAL }, verdict: null, scene: sceneOf({ timeline, blanked: [], fills: false }, drawn(timeline, 0, { layer: 0, head: 0 })), ...more });
  checkTrace(trace);
  return trace;
};

test('a run that is stored plays again, frame by frame, and keeps what it was asked for', () => {
  const timeline = causal();
  const trace = stored(timeline);
  assert.deepEqual(trace.scene, { architecture: 'causal', layer: 1, head: 1, text: '=a', temperature: 0.5, topp: 1, seed: 4, mask: 'prefix:2', edits: 'd2.0h', silenced: 'd1.2' });
  assert.ok(!('text' in trace), 'the text of the beginning is not that of the end');
  const again = Object.assign(Timeline.fromTrace(trace), departuresOf(trace));
  assert.deepEqual(told(again), told(timeline));
  assert.deepEqual([again.edits, again.rule, again.silenced], [timeline.edits, timeline.rule, timeline.silenced]);
  assert.deepEqual([...again.signs.specials], [1, 3, 4]);
  assert.equal(textIn(again), '=a');
  // Stored once more, looked at elsewhere.
  const twice = traceOf(again, { device: trace.device, description: null, verdict: null, scene: sceneOf({ timeline: again, blanked: [], fills: false }, drawn(again, 0, { layer: 1, head: 'all', place: 'table' })) });
  assert.deepEqual({ ...twice, scene: null }, { ...trace, scene: null });
  assert.deepEqual(twice.scene, { ...trace.scene, layer: 2, head: 'all', look: 'table' });
  trace.steps[0].piece = 'other';
  assert.equal(timeline.steps[0].piece, 'b,"', 'it is a copy');
});

test('an encoder knows its blanks again, also those that nobody filled, and what its other heads said', () => {
  const timeline = new Timeline({ model: { architecture: 'encoder' }, tokens: [token(5, '[CLS]', true), token(4, '[MASK]', true), token(4, '[MASK]', true)], source_length: 3, forward: { mask: { encoder: ['111', '111', '111'] } } }, signsOf(SPECIAL, 'encoder'));
  timeline.push({ row: 1, chosen: 7, piece: 'x', rows: [0, 1, 2], candidates: [], attention: { encoder: [[[[1, 0, 0], [0, 1, 0], [0, 0, 1]]]] }, mask: { encoder: ['111', '111', '111'] } });
  timeline.end();
  timeline.question = JSON.stringify(['a b', 'c', null, 'confidence', null]);
  const trace = stored(timeline, { verdict: { pair: [0.5, 1.5], labels: undefined }, scene: sceneOf({ timeline, blanked: [0, 1], fills: true }, drawn(timeline, 0, { layer: 0, head: 0 })) });
  assert.deepEqual([trace.scene.blanks, trace.scene.fill, trace.scene.pair], ['0 1', 'confidence', 'c']);
  assert.deepEqual(told(Timeline.fromTrace(trace)), told(timeline));
  assert.deepEqual(Timeline.fromTrace(trace).frame(1).source.map(({ state }) => state), ['special', 'filled', 'blank']);
  assert.deepEqual(saidOf(trace), { pair: [0.5, 1.5], labels: undefined });
  assert.equal(saidOf({ ...trace, scene: {} }), null, 'a pair head that read one sentence says nothing');
  assert.throws(() => checkTrace({ ...trace, forward: { heads: { pair: [1] } } }), { kind: 'trace' });
});

test('of a large model the layers that were looked at are stored, and the holes between them', () => {
  const timeline = causal();
  for (const step of timeline.steps) step.attention = { decoder: Object.assign(Array(3), { 2: step.attention?.decoder[0] }) };
  const trace = stored(timeline, { description: { family: 'gpt2', name: 'A GPT-2', objective: 'next token', special: SPECIAL } });
  assert.deepEqual([trace.model.name, trace.model.objective], ['A GPT-2', 'next token']);
  assert.deepEqual(told(Timeline.fromTrace(trace)), told(timeline));
  assert.deepEqual([timeline.frame(0).heads, timeline.frame(0).layers], [1, { decoder: 3 }]);
});

test('what a stored scene says is read like an address', () => {
  assert.deepEqual(departuresOf({ scene: { mask: ['full'], edits: 3, silenced: 'x' } }), { edits: [], rule: null, silenced: [] });
  assert.deepEqual(departuresOf({}), { edits: [], rule: null, silenced: [] });
  const timeline = Timeline.fromTrace({ model: { architecture: 'causal' }, tokens: [], steps: [], scene: 'abc' });
  assert.equal(textIn(timeline), '');
  assert.deepEqual(Object.keys(sceneOf({ timeline, blanked: [], fills: false }, drawn(timeline, 0, { layer: 0, head: 0 }))), ['architecture', 'layer', 'head']);
});

test('a figure has the colours of a light page', async () => {
  const sheet = await readFile(new URL('../../www/tokens.css', import.meta.url), 'utf8');
  for (const [name, colour] of Object.entries(COLOURS)) assert.equal(new RegExp(`--${name}: light-dark\\((#[0-9a-f]{6}),`).exec(sheet)?.[1], colour, name);
});

test('words are broken into lines that have room for them', () => {
  assert.deepEqual(wrap('one two three', 12.5 * 0.6 * 8), ['one two', 'three']);
  assert.deepEqual(wrap('我妹妹想学英语', 12.5 * 1.05 * 3 + 1), ['我妹妹', '想学英', '语']);
  assert.deepEqual(wrap('abcdefgh', 12.5 * 0.6 * 4 + 1), ['abcd', 'efgh'], 'a word that is wider than a line');
  for (const line of wrap('x'.repeat(90) + ' 👩‍👩‍👧 和 '.repeat(20), 200)) assert.ok(estimate(line) <= 16, line);
});

test('a run that does not tell its model is saved so, and plays again', () => {
  const { model: _, ...header } = causal().header;
  const timeline = new Timeline(header);
  const trace = traceOf(timeline, { device: null, description: null, verdict: null, scene: sceneOf({ timeline, blanked: [], fills: false }, drawn(timeline, 0, { layer: 0, head: 0 })) });
  checkTrace(trace);
  assert.equal('model' in trace, false);
});
