/** The leak test's own reckoning: which texts it asks the engine for, and what it makes of their states. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askLeak, firstSpot, largest, movedOf, otherThan, readSpot, sayChange, spotIn, stacksOf, weightsOf, writeSpot } from '../../www/leak.js';
import { sayLeak } from '../../www/views/leak.js';

const word = (piece, id, position) => ({ id, piece, position, state: 'source', special: false });
const sign = (piece, id, position) => ({ ...word(piece, id, position), special: true, state: 'special' });
const answer = (piece, id, position) => ({ ...word(piece, id, position), state: 'answer' });
const SOURCE = [sign('[BOS]', 1, 0), word('a', 10, 1), word('b', 11, 2), word('.', 12, 3), sign('[SEP]', 2, 4)];
const SHAPE = { width: 4, heads: 1, layers: { encoder: 0, decoder: 2 } };
const causal = () => /** @type {any} */ ({
  architecture: 'causal', source: SOURCE, read: SOURCE, sourceLength: 5, target: [answer('x', 20, 5), answer('y', 21, 6)], blocks: [{ name: 'decoder', rows: 6 }],
});
const wired = () => /** @type {any} */ ({
  architecture: 'encoder-decoder', source: SOURCE, read: SOURCE, sourceLength: 5, target: [sign('[BOS]', 1, 0), answer('x', 20, 1), answer('y', 21, 2)],
  blocks: [{ name: 'encoder', rows: 5 }, { name: 'cross', rows: 2 }, { name: 'decoder', rows: 2 }],
});

test('rows that were computed are what is read; a token written after them is not', () => {
  assert.deepEqual(stacksOf(causal()).map(({ name, tokens }) => [name, tokens.map(({ id }) => id)]), [['decoder', [1, 10, 11, 12, 2, 20]]]);
  assert.deepEqual(stacksOf(wired()).map(({ name, tokens }) => [name, tokens.length]), [['encoder', 5], ['decoder', 2]]);
});

test('the last word of the source is exchanged for its neighbour, where nobody chose', () => {
  assert.deepEqual(firstSpot(causal()), { stack: 'decoder', position: 2 });
  assert.deepEqual(firstSpot(wired()), { stack: 'encoder', position: 2 });
  const other = (tokens, position) => otherThan([{ name: 'encoder', tokens }], { stack: 'encoder', position })?.id;
  assert.equal(other(SOURCE, 2), 10, 'of two as near, the first');
  assert.equal(other(SOURCE, 0), 10, 'a sign is exchanged for a word');
  const have = ['[BOS]', 'We', 'have', 'to', 'go', '.', '[SEP]'].map((piece, position) => (piece.startsWith('[') ? sign : word)(piece, 30 + position, position));
  assert.equal(other(have, 4), 32, 'none that would be said twice in a row');
  assert.equal(other([...have, answer('x', 40, 7), answer('y', 41, 8)], 7), 41, 'nor one of the other part');
  assert.equal(other([sign('[CLS]', 1, 0), word('a', 10, 1), word('a', 10, 2)], 2), 1, 'where there is no other word, for a sign');
  assert.equal(other([word('a', 10, 0), word('a', 10, 1)], 0), undefined);
});

test('both texts are asked for as variants of one batch, the token exchanged on its own side', () => {
  const asked = askLeak(causal(), { stack: 'decoder', position: 2 }, SHAPE);
  assert.deepEqual(asked?.request, { ids: [1, 10, 11, 12, 2], targetIds: [20], sourceLength: 5 });
  assert.deepEqual(asked?.variants, [{}, { ids: [1, 10, 10, 12, 2], targetIds: [20] }]);
  assert.deepEqual(asked?.groups, [[0, 1, 2]]);
  const answer = askLeak(causal(), { stack: 'decoder', position: 5 }, SHAPE);
  assert.deepEqual(answer?.variants[1], { ids: [1, 10, 11, 12, 2], targetIds: [12] });
  const target = askLeak(wired(), { stack: 'decoder', position: 1 }, { width: 4, heads: 1, layers: { encoder: 2, decoder: 2 } });
  assert.deepEqual(target?.variants[1], { ids: [1, 10, 11, 12, 2], targetIds: [1, 10] }, 'nothing else is written yet: a word of the source');
  assert.deepEqual(askLeak(wired(), { stack: 'encoder', position: 1 }, { width: 4, heads: 1, layers: { encoder: 2, decoder: 3 } })?.groups, [[0, 1, 2, 3]]);
  assert.equal(askLeak(causal(), { stack: 'decoder', position: 9 }, SHAPE), null);
});

test('an encoder’s token can be exchanged for [MASK], and what others attend to it is asked for, too', () => {
  const frame = /** @type {any} */ ({ architecture: 'encoder', source: SOURCE, read: SOURCE, sourceLength: 5, target: [], blocks: [{ name: 'encoder', rows: 5 }] });
  const shape = { width: 4, heads: 2, layers: { encoder: 2, decoder: 0 }, special: { mask: 4 } };
  const masked = /** @type {const} */ ({ stack: 'encoder', position: 1, masked: true });
  assert.deepEqual([readSpot('e1.mask'), writeSpot(masked), readSpot('e1.masks'), readSpot('e1.')], [masked, 'e1.mask', null, null]);
  const asked = askLeak(frame, masked, shape);
  assert.deepEqual(asked?.variants[1], { ids: [1, 4, 11, 12, 2] });
  assert.deepEqual([asked?.other.piece, asked?.canMask, asked?.weighs], ['[MASK]', true, true]);
  const word = askLeak(frame, { stack: 'encoder', position: 1 }, shape);
  assert.deepEqual([word?.other.id, word?.canMask, word?.weighs], [12, true, false]);
  // Where there is no such sign, or it stands there already, it is another word.
  assert.deepEqual([askLeak(frame, masked, { ...shape, special: {} })?.other.id, askLeak(frame, masked, { ...shape, special: { mask: 10 } })?.other.id], [12, 12]);
  assert.deepEqual([askLeak(causal(), { stack: 'decoder', position: 1, masked: true }, { ...SHAPE, heads: 2, special: { mask: 4 } })?.canMask], [false], 'what writes fills no blanks');
  assert.deepEqual(spotIn(frame, { ...masked, position: 9 }), { ...masked, position: 4 }, 'it stays so in a shorter text');
  // Weights of all heads are many more numbers: fewer layers at a time.
  assert.equal(askLeak(frame, masked, { ...shape, heads: 15_000 })?.groups.length, 2);
  const weights = [[[[0.1, 0.9], [0.3, 0.7]], [[0, 1], [0.5, 0.5]]], null];
  assert.deepEqual(weightsOf(weights, 1), { sum: 1.9, n: 2 }, 'its own row is not asked');
});

test('of a large model the layers are asked for in groups that fit', () => {
  const groups = askLeak(causal(), { stack: 'decoder', position: 2 }, { width: 60_000, heads: 1, layers: { encoder: 0, decoder: 4 } })?.groups;
  assert.deepEqual(groups, [[0, 1], [2, 3], [4]]);
});

test('a row stays the same where every number has the same bits', () => {
  assert.deepEqual(largest([[1, 2], [3, 4], [0, 1]], [[1, 2], [3, 4.5], [-0, 1]]), [0, 0.5, Number.MIN_VALUE]);
  assert.ok(Number.isNaN(largest([[1]], [[NaN]])[0]));
  assert.deepEqual(movedOf([[0, 0], [0, 0.25], [3, 1]]), { of: 3, n: 2, most: 3 });
  assert.equal(movedOf([[NaN, 0]]).n, 1, 'what is no number has moved');
});

test('a change is as short as a cell', () => {
  assert.deepEqual([0, 0.0000123, 0.00123, 0.0312, 0.094, 0.0951, 0.0994, 0.1, 0.949, 0.9949, 1, 9.96, 12.34, 123.4].map(sayChange),
    ['0', '1e-5', '.001', '.03', '.09', '.10', '.10', '.10', '.95', '.99', '1.0', '10', '12', '123']);
});

test('what is said names rows before it, after it, and the other stack', () => {
  const t = (key, values = {}) => `${key} ${Object.values(values).join(' ')}`.trim();
  const [encoder, decoder] = stacksOf(wired());
  const leak = /** @type {any} */ ({
    spot: { stack: 'decoder', position: 1 }, token: SOURCE[1], other: SOURCE[2],
    stacks: [{ ...encoder, moved: [[0], [0], [0], [0], [0]] }, { ...decoder, moved: [[0], [0.5]] }],
  });
  assert.deepEqual(sayLeak(leak, t), ['leak.exchanged a b', 'leak.before.same 1', 'leak.encoder.same 5']);
  leak.spot.position = 0;
  assert.deepEqual(sayLeak(leak, t), ['leak.exchanged a b', 'leak.after.moved 1 1 .50', 'leak.encoder.same 5']);
});

test('what every answer begins with is not exchanged, however many there are', () => {
  const started = (starts) => ({ ...wired(), starts, blocks: [{ name: 'encoder', rows: 5 }, { name: 'cross', rows: 3 }, { name: 'decoder', rows: 3 }] });
  const shape = { width: 4, heads: 1, layers: { encoder: 2, decoder: 2 } };
  const asked = (starts, position) => askLeak(started(starts), { stack: 'decoder', position }, shape);
  assert.deepEqual([0, 1, 2].map((position) => asked(1, position) === null), [true, false, false]);
  assert.deepEqual([0, 1, 2].map((position) => asked(2, position) === null), [true, true, false]);
  // The engine puts a start in front where it is missing: both texts begin with it.
  assert.deepEqual(asked(1, 1)?.variants[1].targetIds, [1, 21, 21]);
  assert.deepEqual(asked(1, 2)?.stacks.map(({ starts }) => starts), [undefined, [0]]);
  assert.notEqual(askLeak(started(1), { stack: 'encoder', position: 0 }, shape), null, 'a source has none');
  assert.deepEqual(spotIn(started(1), { stack: 'decoder', position: 2 }), { stack: 'decoder', position: 2 });
  assert.deepEqual(spotIn(started(1), { stack: 'decoder', position: 9 }), { stack: 'decoder', position: 2 }, 'its text is shorter by now');
  for (const chosen of [null, { stack: 'decoder', position: 0 }]) assert.deepEqual(spotIn(started(1), /** @type {any} */ (chosen)), { stack: 'encoder', position: 2 });
  // GLM's answers begin with a sign behind the source, in one stack with it.
  const glm = { ...causal(), architecture: 'prefix', starts: 1 };
  assert.deepEqual([4, 5].map((position) => askLeak(glm, { stack: 'decoder', position }, SHAPE) === null), [false, true]);
});

test('the token that is exchanged is a stack and a row of it', () => {
  for (const text of ['d0', 'e12', 'd9999']) assert.equal(writeSpot(/** @type {any} */ (readSpot(text))), text);
  for (const text of ['', null, 'd', 'c3', 'd-1', 'd1.5', 'd10000', 'd3e4', 'constructor']) assert.equal(readSpot(text), null, String(text));
});
