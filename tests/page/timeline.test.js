import assert from 'node:assert/strict';
import test from 'node:test';
import { Timeline } from '../../www/timeline.js';

const token = (id, piece, special = false) => ({ id, piece, special });
const candidate = (id, piece, probability) => ({ id, piece, probability, kept: true });
/** Attention of one layer and head: [layer][head][row][key]. */
const attention = (...rows) => [[rows]];

function causal() {
  const header = {
    model: { architecture: 'causal' }, tokens: [token(1, '[BOS]', true), token(9, 'a'), token(2, '[SEP]', true)], source_length: 3, truncated: 0,
    forward: { mask: { decoder: ['100', '110', '111'] } },
  };
  const timeline = new Timeline(header, { specials: new Set([1, 2, 3]) });
  timeline.push({
    row: 2, chosen: 20, piece: 'b', rows: [0, 1, 2], candidates: [candidate(20, 'b', 0.6), candidate(21, 'c', 0.3)],
    attention: { decoder: attention([1, 0, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5]) }, mask: { decoder: ['100', '110', '111'] },
    stats: { rows_computed: 3 },
  });
  timeline.push({
    row: 3, chosen: 3, piece: '[EOS]', rows: [3], candidates: [candidate(3, '[EOS]', 0.9)], ended: 'eos',
    attention: { decoder: attention([0.1, 0.2, 0.3, 0.4]) }, mask: { decoder: ['1111'] }, stats: { rows_computed: 1 },
  });
  return timeline;
}

test('frame 0 is the moment before the first choice', () => {
  const frame = causal().frame(0);
  assert.deepEqual(frame.current, { stack: 'decoder', row: 2 });
  assert.deepEqual(frame.source.map(({ state }) => state), ['special', 'source', 'special']);
  assert.deepEqual(frame.target, []);
  assert.equal(frame.chosen, 20);
  const [block] = frame.blocks;
  assert.deepEqual([block.rows, block.keys, block.wholeRows], [3, 3, 4]);
  assert.equal(block.visible(0, 1), false);
  assert.equal(block.visible(2, 1), true);
  assert.deepEqual([...block.attention(0, 0, 1)], [0.5, 0.5, 0]);
});

test('a choice becomes a token, and its row looks back', () => {
  const frame = causal().frame(1);
  assert.deepEqual(frame.target.map(({ piece, state, position }) => [piece, state, position]), [['b', 'answer', 3]]);
  assert.deepEqual(frame.current, { stack: 'decoder', row: 3 });
  const [block] = frame.blocks;
  assert.equal(block.rows, 4);
  assert.equal(block.visible(1, 3), false, 'a key that came after the row was computed is hidden');
  assert.equal(block.visible(3, 3), true);
});

test('the last frame is the end, and past it nothing changes', () => {
  const timeline = causal();
  const frame = timeline.frame(2);
  assert.deepEqual([frame.settled, frame.waiting, frame.reason, frame.position], [true, false, 'eos', 2]);
  assert.equal(frame.target[1].state, 'special');
  assert.equal(frame.blocks[0].rows, 4, 'the end sign was never a row');
  assert.equal(timeline.frame(99).position, 2);
  assert.equal(timeline.available, 2);
});

test('a run still being computed waits, and says how far it can be shown', () => {
  const timeline = causal();
  timeline.ended = false;
  assert.equal(timeline.available, 1);
  const frame = timeline.frame(2);
  assert.deepEqual([frame.waiting, frame.settled, frame.current, frame.candidates.length], [true, false, null, 0]);
  const empty = new Timeline(timeline.header);
  assert.equal(empty.available, 0);
  assert.equal(empty.frame(0).blocks[0].visible(0, 1), false, 'the mask is known before any step');
});

test('a fork keeps what came before and forgets what came after', () => {
  const fork = causal().fork(0, { id: 21, piece: 'c', space: true });
  assert.equal(fork.length, 1);
  assert.equal(fork.ended, false);
  assert.deepEqual(fork.answerIds(1), [21]);
  const frame = fork.frame(1);
  assert.deepEqual([frame.target[0].piece, frame.target[0].forced, frame.waiting], ['c', true, true]);
  fork.push({ row: 3, chosen: 3, piece: '[EOS]', rows: [3], candidates: [], attention: { decoder: attention([0, 0, 0, 1]) }, mask: { decoder: ['1111'] } });
  assert.deepEqual([...fork.frame(1).blocks[0].attention(0, 0, 2)], [0.2, 0.3, 0.5], 'rows from before the fork are still there');
});

test('an encoder fills its blanks, one step each', () => {
  const header = {
    model: { architecture: 'encoder' }, tokens: [token(5, '[CLS]', true), token(4, '[MASK]', true), token(9, 'x'), token(4, '[MASK]', true)], source_length: 4,
    forward: { mask: { encoder: ['1111', '1111', '1111', '1111'] } },
  };
  const timeline = new Timeline(header, { maskId: 4, specials: new Set([4, 5]) });
  const all = attention([1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]);
  timeline.push({ row: 1, chosen: 30, piece: 'p', rows: [0, 1, 2, 3], candidates: [], attention: { encoder: all } });
  timeline.push({ row: 3, chosen: 31, piece: 'q', rows: [], candidates: [] });
  timeline.end();
  const states = (t) => timeline.frame(t).source.map(({ state }) => state);
  assert.deepEqual(states(0), ['special', 'blank', 'source', 'blank']);
  assert.deepEqual(states(1), ['special', 'filled', 'source', 'blank']);
  assert.deepEqual(states(2), ['special', 'filled', 'source', 'filled']);
  assert.deepEqual(timeline.filledIds(1), [5, 30, 9, 4]);
  assert.deepEqual([0, 1, 2].map((t) => timeline.blanksAfter(t)), [[1, 3], [3], []]);
  assert.deepEqual(timeline.fork(0, { id: 4, piece: '[MASK]' }).blanksAfter(1), [3], 'a choice may be [MASK] again');
  assert.deepEqual([...timeline.frame(2).blocks[0].attention(0, 0, 2)], [0, 0, 1, 0]);
});

test('an encoder-decoder has three grids', () => {
  const header = {
    model: { architecture: 'encoder-decoder' }, tokens: [token(9, 'x'), token(8, 'y')], source_length: 2, target: [token(1, '[BOS]', true)],
    forward: { mask: { encoder: ['11', '11'] }, attention: { encoder: attention([0.5, 0.5], [0, 1]) } },
  };
  const timeline = new Timeline(header, { specials: new Set([1, 3]) });
  timeline.push({ row: 0, chosen: 7, piece: 'z', rows: [0], candidates: [], attention: { decoder: attention([1]), cross: attention([0.3, 0.7]) }, mask: { decoder: ['1'], cross: ['11'] } });
  timeline.push({ row: 1, chosen: 3, piece: '[EOS]', rows: [1], candidates: [], attention: { decoder: attention([0.4, 0.6]), cross: attention([0.9, 0.1]) }, mask: { decoder: ['11'], cross: ['11'] } });
  timeline.end();
  const frame = timeline.frame(1);
  assert.deepEqual(frame.blocks.map(({ name, rows, keys }) => [name, rows, keys]), [['encoder', 2, 2], ['cross', 2, 2], ['decoder', 2, 2]]);
  assert.deepEqual([...frame.blocks[0].attention(0, 0, 1)], [0, 1]);
  assert.deepEqual([...frame.blocks[1].attention(0, 0, 1)], [0.9, 0.1]);
  assert.equal(frame.blocks[2].visible(0, 1), false);
  assert.deepEqual(timeline.answerIds(1), [1, 7]);
});

test('the first step of an encoder-decoder cost what its source did, too; no other machine reads anything apart', () => {
  const stats = (rows_computed, dispatches, milliseconds) => ({ rows_computed, dispatches, submits: 1, readbacks: 1, milliseconds });
  const shown = (architecture, read, ...steps) => {
    const header = { model: { architecture }, tokens: [token(9, 'x'), token(8, 'y')], source_length: 2, target: [token(1, '[BOS]', true)], forward: { stats: read } };
    const timeline = new Timeline(header);
    steps.forEach((one, row) => timeline.push({ row, chosen: 7, piece: 'z', candidates: [], stats: one }));
    timeline.end();
    return [...steps, null].map((_, at) => timeline.frame(at).stats);
  };
  const [one, two] = [stats(1, 53, 0.5), stats(1, 53, 0.25)];
  const both = { rows_computed: 10, dispatches: 94, submits: 2, readbacks: 2, milliseconds: 2.5 };
  assert.deepEqual(shown('encoder-decoder', stats(9, 41, 2), one, two), [both, two, two]);
  // Where one step is all, the end shows its numbers.
  assert.deepEqual(shown('encoder-decoder', stats(9, 41, 2), one), [both, both]);
  // A source that was held, a run that was stored without, one that says less of itself.
  assert.deepEqual(shown('encoder-decoder', { rows_computed: 0, milliseconds: 0.25 }, one)[0], { ...one, milliseconds: 0.75 });
  assert.deepEqual(shown('encoder-decoder', undefined, one)[0], one);
  assert.equal(shown('encoder-decoder', stats(9, 41, 2), undefined)[0], null);
  for (const name of ['causal', 'prefix', 'encoder']) assert.deepEqual(shown(name, stats(9, 41, 2), one)[0], one, name);
});

test('a stored trace plays without rows, masks or an engine', () => {
  const { header, steps } = causal();
  const stored = { ...header, steps: steps.map(({ rows, mask, ...step }) => step) };
  const timeline = Timeline.fromTrace(JSON.parse(JSON.stringify(stored)));
  assert.equal(timeline.ended, true);
  assert.deepEqual([...timeline.frame(1).blocks[0].attention(0, 0, 3)], [0.1, 0.2, 0.3, 0.4]);
  assert.deepEqual([...timeline.frame(1).blocks[0].attention(0, 0, 2)], [0.2, 0.3, 0.5]);
});

/** An encoder with blanks at rows 1 and 3, filled by these passes: each the rows that a step tells of. */
function filled(...passes) {
  const header = { model: { architecture: 'encoder' }, tokens: [token(1, '[CLS]', true), token(4, '[MASK]', true), token(9, 'a'), token(4, '[MASK]', true)], source_length: 4 };
  const timeline = new Timeline(header, { maskId: 4, specials: new Set([1, 4]) });
  [[1, 'b'], [3, 'c']].forEach(([row, piece], at) => timeline.push({ row, chosen: 20 + at, piece, rows: passes[at], candidates: [candidate(20 + at, piece, 0.9)] }));
  timeline.end();
  return timeline;
}

test('a matrix names what its pass read: a word that was filled in after it is still a blank there', () => {
  const read = (timeline, at) => timeline.frame(at).read.map(({ piece }) => piece).join(' ');
  const source = (timeline, at) => timeline.frame(at).source.map(({ piece }) => piece).join(' ');
  const parallel = filled([0, 1, 2, 3], []);
  assert.deepEqual([0, 1, 2].map((at) => source(parallel, at)), ['[CLS] [MASK] a [MASK]', '[CLS] b a [MASK]', '[CLS] b a c']);
  assert.deepEqual([0, 1, 2].map((at) => read(parallel, at)), Array(3).fill('[CLS] [MASK] a [MASK]'));
  const confidence = filled([0, 1, 2, 3], [0, 1, 2, 3]);
  assert.deepEqual([0, 1, 2].map((at) => read(confidence, at)), ['[CLS] [MASK] a [MASK]', '[CLS] b a [MASK]', '[CLS] b a [MASK]']);
  const written = causal();
  assert.deepEqual(written.frame(1).read, written.frame(1).source);
});

test('a token that was drawn is a candidate, however unlikely it was', () => {
  const timeline = causal();
  timeline.steps[0] = { ...timeline.steps[0], chosen: 77, piece: 'z', probability: 0.0004 };
  assert.deepEqual(timeline.frame(0).candidates.map(({ id, probability }) => [id, probability]), [[20, 0.6], [21, 0.3], [77, 0.0004]]);
  assert.deepEqual(timeline.frame(1).candidates.map(({ id }) => id), [3]);
});

test('the model\'s own choice, pressed again, is forced no more', () => {
  const forced = causal().fork(0, candidate(21, 'c', 0.3));
  assert.deepEqual([forced.steps[0].chosen, forced.steps[0].forced, forced.steps[0].probability], [21, true, 0.3]);
  const again = forced.fork(0, candidate(21, 'c', 0.3));
  assert.equal(again.steps[0].forced, true);
  const back = again.fork(0, candidate(20, 'b', 0.6));
  assert.deepEqual([back.steps[0].chosen, back.steps[0].forced], [20, false]);
});
