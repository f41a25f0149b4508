import assert from 'node:assert/strict';
import test from 'node:test';
import { Timeline } from '../../www/timeline.js';
import { fillHoles, lacks, placed, readAgain, watchFor, watchesNothing } from '../../www/watch.js';

const decoder = (layers, heads) => ({ architecture: 'causal', layers: { encoder: 0, decoder: layers }, heads, stacks: { decoder: { layers, heads } } });
const wired = ([layers, heads], [layers2, heads2]) => ({
  architecture: 'encoder-decoder', layers: { encoder: layers, decoder: layers2 }, heads: heads2,
  stacks: { encoder: { layers, heads }, decoder: { layers: layers2, heads: heads2 } },
});
const size = (target, source = target) => ({ source, target });
const brief = ({ layers, heads, what }) => (what.length ? [layers, heads] : []);

test('a small model tells of all its attention, as long as its context is', () => {
  for (const model of [decoder(6, 5), { ...decoder(6, 5), stacks: undefined }, wired([3, 5], [3, 5])]) {
    for (const head of [0, /** @type {'all'} */ ('all')]) assert.deepEqual(watchFor(model, { layer: 5, head }, size(96)), { layers: 'all', heads: 'all', rows: 'all', what: ['attention'] });
  }
});

test('of a large one what is shown is asked for: a layer, else a head, else nothing', () => {
  const large = decoder(48, 64);
  assert.deepEqual(brief(watchFor(large, { layer: 40, head: 3 }, size(36))), ['all', 'all']);
  assert.deepEqual(brief(watchFor(large, { layer: 40, head: 3 }, size(37))), [[40], 'all']);
  assert.deepEqual(brief(watchFor(large, { layer: 40, head: 'all' }, size(250))), [[40], 'all']);
  assert.deepEqual(brief(watchFor(large, { layer: 40, head: 3 }, size(251))), [[40], [3]]);
  assert.deepEqual(brief(watchFor(large, { layer: 40, head: 'all' }, size(251))), []);
  assert.deepEqual(brief(watchFor(large, { layer: 40, head: 3 }, size(2000))), [[40], [3]]);
  const nothing = watchFor(large, { layer: 40, head: 3 }, size(2001));
  assert.ok(watchesNothing(nothing));
});

test('stacks of unequal depth show their last layer beside a deeper one\'s, and unequal heads are asked for together', () => {
  const model = wired([2, 4], [40, 64]);
  assert.deepEqual(brief(watchFor(model, { layer: 30, head: 1 }, size(60))), [[1, 30], 'all']);
  assert.deepEqual(brief(watchFor(model, { layer: 1, head: 1 }, size(60))), [[1], 'all']);
  assert.deepEqual(brief(watchFor(model, { layer: 30, head: 3 }, size(300))), [[1, 30], [3]]);
  // The encoder has no head 9, and the engine would refuse it.
  assert.deepEqual(brief(watchFor(model, { layer: 30, head: 9 }, size(300))), []);
  // A short answer to a long text: the encoder decides.
  assert.deepEqual(brief(watchFor(wired([40, 64], [2, 4]), { layer: 5, head: 0 }, size(4, 60))), [[1, 5], 'all']);
});

test('what comes is put at its own layer and head; what is whole stays as it is', () => {
  const model = decoder(4, 3);
  const whole = { decoder: [[[[1]]]] };
  assert.equal(placed(whole, { layers: 'all', heads: 'all', rows: 'all', what: ['attention'] }, model), whole);
  assert.equal(placed(undefined, { layers: [1], heads: 'all', rows: 'all', what: ['attention'] }, model), undefined);
  const { decoder: grids } = /** @type {any} */ (placed({ decoder: [['a'], ['b']] }, { layers: [1, 3], heads: [2], rows: 'all', what: ['attention'] }, model));
  assert.equal(grids.length, 4);
  assert.deepEqual([grids[0], grids[1][2], grids[2], grids[3][2], grids[3][0]], [undefined, 'a', undefined, 'b', undefined]);
  // A layer that only the deeper stack has.
  const two = /** @type {any} */ (placed({ encoder: [['e']], decoder: [['c'], ['d']] }, { layers: [1, 3], heads: [0], rows: 'all', what: ['attention'] }, wired([2, 1], [4, 1])));
  assert.deepEqual([two.encoder[1][0], two.decoder[1][0], two.decoder[3][0]], ['e', 'c', 'd']);
});

const token = (id) => ({ id, piece: `t${id}` });
const step = (row, rows, chosen, attention) => ({ row, rows, chosen, piece: '', candidates: [], attention });

test('an answer is told once more in one pass, and each step takes its own rows of it', () => {
  const timeline = new Timeline({ model: { architecture: 'causal' }, tokens: [token(7), token(8)], source_length: 2, forward: {} });
  const model = decoder(2, 1);
  timeline.push(step(1, [0, 1], 5, { decoder: [undefined, [['last 0', 'last 1']]] }));
  timeline.push(step(2, [2], 6, { decoder: [undefined, [['last 2']]] }));
  timeline.end();
  assert.equal(lacks(timeline, model, { layer: 1, head: 0 }), false);
  assert.equal(lacks(timeline, model, { layer: 0, head: 0 }), true);
  const [{ request, take }, ...more] = readAgain(timeline, { text: 'ignored' });
  assert.deepEqual(more, []);
  assert.deepEqual(request, { ids: [7, 8], sourceLength: 2, targetIds: [5] });
  take({ decoder: [[['r0', 'r1', 'r2']], [['never', 'never', 'never']]] });
  assert.equal(lacks(timeline, model, { layer: 0, head: 'all' }), false);
  assert.deepEqual(timeline.steps.map(({ attention }) => attention?.decoder), [[[['r0', 'r1']], [['last 0', 'last 1']]], [[['r2']], [['last 2']]]]);
  assert.equal(timeline.frame(2).blocks[0].attention(0, 0, 2), 'r2');
});

test('where earlier rows see later ones a run keeps a pass a step, and is told once more so', () => {
  // Of GPT-2's shape 100 rows are 1.4 million numbers: all at once, but not forty times.
  assert.deepEqual(brief(watchFor(decoder(12, 12), { layer: 2, head: 1 }, size(100), 1)), ['all', 'all']);
  assert.deepEqual(brief(watchFor(decoder(12, 12), { layer: 2, head: 1 }, size(100), 40)), [[2], 'all']);
  assert.deepEqual(brief(watchFor(decoder(12, 12), { layer: 2, head: 1 }, size(500), 40)), [[2], [1]]);
  const timeline = new Timeline({ model: { architecture: 'causal' }, tokens: [token(7), token(8)], source_length: 2, forward: {} });
  timeline.push(step(1, [0, 1], 5, { decoder: [] }));
  timeline.push(step(2, [0, 1, 2], 6, { decoder: [] }));
  const passes = readAgain(timeline, { text: '' });
  assert.deepEqual(passes.map(({ request }) => request), [[], [5]].map((targetIds) => ({ ids: [7, 8], sourceLength: 2, targetIds })));
  passes[1].take({ decoder: [[['r0', 'r1', 'r2']]] });
  passes[0].take({ decoder: [[['early 0', 'early 1']]] });
  assert.deepEqual(timeline.steps.map(({ attention }) => attention?.decoder), [[[['early 0', 'early 1']]], [[['r0', 'r1', 'r2']]]]);
});

test('a source is read once, and cross-attention goes with the steps', () => {
  const timeline = new Timeline({ model: { architecture: 'encoder-decoder' }, tokens: [token(7), token(8)], target: [token(1)], forward: { attention: {} } });
  const model = wired([1, 1], [2, 1]);
  timeline.push(step(0, [0], 5, {}));
  assert.equal(lacks(timeline, model, { layer: 1, head: 0 }), true);
  const [{ request, take }] = readAgain(timeline, { text: '' });
  assert.deepEqual(request, { ids: [7, 8], sourceLength: 2, targetIds: [1] });
  take(/** @type {any} */ (placed({ encoder: [[['e0', 'e1']]], decoder: [[['d0']], [['D0']]], cross: [[['c0']], [['C0']]] }, { layers: [0, 1], heads: 'all', rows: 'all', what: ['attention'] }, model)));
  assert.equal(lacks(timeline, model, { layer: 1, head: 0 }), false);
  const [encoder, cross, own] = timeline.frame(0).blocks;
  assert.deepEqual([encoder.attention(0, 0, 1), cross.attention(1, 0, 0), own.attention(1, 0, 0)], ['e1', 'C0', 'D0']);
});

test('an encoder is read again as often as its text was read', () => {
  const model = { architecture: 'encoder', layers: { encoder: 2, decoder: 0 }, heads: 1 };
  const header = () => ({ model: { architecture: /** @type {'encoder'} */ ('encoder') }, tokens: [token(4), token(8), token(4)], forward: {} });
  const read = new Timeline({ ...header(), forward: { attention: { encoder: [undefined, [['x']]] } } });
  read.end();
  assert.equal(lacks(read, model, { layer: 0, head: 0 }), true);
  const [again] = readAgain(read, { text: 'a text', pair: 'another' });
  assert.deepEqual(again.request, { text: 'a text', pair: 'another' });
  again.take({ encoder: [[['y']]] });
  assert.equal(lacks(read, model, { layer: 0, head: 0 }), false);

  const filled = new Timeline(header());
  filled.push(step(0, [0, 1, 2], 9, {}));
  filled.push(step(2, [], 6, undefined));
  assert.deepEqual(readAgain(filled, { text: '' }).map(({ request }) => request), [{ ids: [4, 8, 4] }]);
  filled.steps[1].rows = [0, 1, 2];
  assert.deepEqual(readAgain(filled, { text: '' }).map(({ request }) => request), [{ ids: [4, 8, 4] }, { ids: [9, 8, 4] }]);
});

test('what is held is not taken again', () => {
  const into = { decoder: [[['old']]] };
  fillHoles(into, { decoder: [[['new'], ['second']]], cross: [[['c']]] });
  assert.deepEqual(into, { decoder: [[['old'], ['second']]], cross: [[['c']]] });
});
