/** What a step costs, held against the numbers that the engine tells of itself; and which tokens are learnt from. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, countOf } from '../../www/amounts.js';
import { blocksOf, heldOf, learnsFrom, renewed, stepOf, tableOf } from '../../www/cost.js';

const stack = (layers, heads, kv, width, inner, gated = false) => (
  { layers, distinct_layers: layers, heads, kv_heads: kv, head_width: width, feed_forward_width: inner, gated });
const told = (...lines) => lines.map(([keys, cached, again, bytes]) => ({ keys, multiplications_cached: cached, multiplications_recomputed: again, cache_bytes: bytes }));
const shape = (more) => ({ parameters: 0, ledger: [], ...more });
/** As `describe()` tells them: two of the quartet, a LLaMA whose heads share keys, a T5 of unlike stacks, an ALBERT with a narrow token table. */
const CAUSAL = shape({ architecture: 'causal', width: 160, vocabulary: 3312, stacks: { decoder: stack(6, 5, 5, 32, 640) }, stored: { tied: true }, objective: 'next-token',
  cost: told([8, 2388480, 15344640, 61440], [32, 2434560, 60526080, 245760], [96, 2557440, 186416640, 737280]) });
const WIRED = shape({ architecture: 'encoder-decoder', width: 160, vocabulary: 3312, stacks: { encoder: stack(3, 5, 5, 32, 640), decoder: stack(3, 5, 5, 32, 640) }, stored: { tied: true }, objective: 'next-token-of-target',
  cost: told([8, 1620480, 17890560, 61440], [32, 1666560, 71815680, 245760], [96, 1789440, 229132800, 737280]) });
const LLAMA = shape({ architecture: 'causal', width: 30, vocabulary: 53, stacks: { decoder: stack(3, 6, 3, 6, 37, true) }, stored: { tied: false }, objective: 'next token',
  cost: told([8, 23028, 167046, 3456], [32, 28212, 746358, 13824], [64, 35124, 1712310, 27648]) });
const T5 = shape({ architecture: 'encoder-decoder', width: 20, vocabulary: 50, stacks: { encoder: stack(2, 4, 4, 6, 27, true), decoder: stack(1, 4, 4, 6, 27, true) }, stored: { tied: false }, objective: 'spans',
  cost: told([8, 6268, 112264, 3072], [32, 8572, 575080, 12288], [512, 54652, 50473960, 196608]) });
const ALBERT = shape({ architecture: 'encoder', width: 22, vocabulary: 55, stacks: { encoder: stack(4, 2, 2, 11, 31) }, stored: { tied: true },
  cost: told([8, 15323, 117579, 5632], [32, 19547, 603339, 22528], [30, 19195, 555115, 21120]) });

const causal = (row, key) => key <= row;
const block = (name, rows, keys, visible = causal) => ({ name, rows, keys, visible });
const token = (state = 'source') => ({ state });
const text = (count) => Array.from({ length: count }, (_, at) => token(at === 0 || at === count - 1 ? 'special' : 'source'));
/** A decoder's frame: a source of so many tokens, and so many choices made. */
const frame = (source, position, visible = causal) => /** @type {any} */ ({
  architecture: 'causal', position, length: 20, source: text(source), target: Array.from({ length: position }, () => token('answer')),
  blocks: [block('decoder', source + position, source + position, visible)], read: [],
});
const wired = (source, position) => /** @type {any} */ ({
  architecture: 'encoder-decoder', position, length: 20, source: text(source), target: [token('special'), ...Array.from({ length: position }, () => token('answer'))], read: [],
  blocks: [block('encoder', source, source, () => true), block('cross', 1 + position, source, () => true), block('decoder', 1 + position, 1 + position)],
});
const linesOf = (shown, description) => stepOf(shown, description)?.lines.map(({ name, rows, multiplications }) => [name, rows, multiplications]);

test('a row, the output table and what is held are what the engine says of each length', () => {
  for (const description of [CAUSAL, WIRED, LLAMA, T5, ALBERT]) {
    const site = description.stacks.decoder ? 'decoder' : 'encoder';
    const twice = description.stacks.encoder && description.stacks.decoder ? 2 : 1;
    for (const { keys, multiplications_cached: cached, cache_bytes: bytes } of description.cost) {
      assert.equal(blocksOf(description, site, 1, twice * keys) + tableOf(description), cached);
      assert.equal(heldOf(description, keys, twice === 2 ? keys : 0), bytes);
    }
  }
  assert.equal(tableOf(CAUSAL), 3312 * 160);
  assert.equal(tableOf(ALBERT), 55 * 13, 'as wide as the token table, not as the blocks');
});

test('a causal step is what the engine says, with the cache and without', () => {
  for (const description of [CAUSAL, LLAMA]) {
    const [, { keys, multiplications_cached: cached, multiplications_recomputed: again }] = description.cost;
    assert.deepEqual(linesOf(frame(keys - 3, 3), description), [['cached', 1, cached], ['recomputed', keys, again]]);
    assert.deepEqual(linesOf(frame(keys, 0), description), [['cached', keys, again], ['recomputed', keys, again]], 'the first step reads the source');
  }
});

test('an open source costs more scores, and a mask that looks ahead holds nothing', () => {
  const prefix = (row, key) => key <= row || key < 9;
  const [, [, rows, again]] = linesOf(frame(9, 3, prefix), CAUSAL) ?? [];
  assert.equal(rows, 12);
  assert.equal(again, (linesOf(frame(9, 3), CAUSAL) ?? [])[1][2] + 6 * 2 * 160 * 36, '36 cells more');
  assert.deepEqual(renewed(block('decoder', 5, 5), 6), [4]);
  assert.deepEqual(renewed(block('decoder', 5, 5, () => true), 6), [0, 1, 2, 3, 4]);
  // Row 3 sees the new one, row 1 sees row 3: with one layer it does not hear of it.
  const open = (row, key) => key <= row || row === 3 && key === 4 || row === 1 && key === 3;
  assert.deepEqual(renewed(block('decoder', 5, 5, open), 1), [3, 4]);
  assert.deepEqual(renewed(block('decoder', 5, 5, open), 2), [1, 3, 4]);
});

test('an encoder-decoder reads its source once, in its own stack, and keeps keys and values of it for the other', () => {
  // 2 layers of 7 rows that see all of it; then one layer's keys and values of each.
  const matrices = 2 * 20 * 48 + 20 * 27 * 3;
  const once = 2 * (7 * matrices + 2 * 49 * 24) + 7 * 20 * 48;
  const row = (seen) => matrices + 2 * 20 * 24 + 2 * seen * 24;
  const table = 50 * 20;
  assert.deepEqual(linesOf(wired(7, 2), T5), [['once', 7, once], ['cached', 1, row(3 + 7) + table], ['recomputed', 7 + 3, once + row(1 + 7) + row(2 + 7) + row(3 + 7) + table]]);
  assert.deepEqual(stepOf(wired(7, 2), T5)?.held, { bytes: 2 * 24 * 4 * 10, rows: 3, source: 7, alike: null });
  assert.deepEqual(stepOf(frame(9, 3), LLAMA)?.held, { bytes: 3 * 2 * 18 * 4 * 12, rows: 12, source: 0, alike: 3 * 2 * 36 * 4 * 12 });
});

test('an encoder reads all of its text in one pass, with the output table for each blank, and keeps nothing', () => {
  const read = [...text(6)];
  read[2] = read[3] = token('blank');
  const shown = /** @type {any} */ ({ architecture: 'encoder', position: 1, length: 2, source: read, target: [], read, blocks: [block('encoder', 6, 6, () => true)] });
  assert.deepEqual(linesOf(shown, ALBERT), [['pass', 6, blocksOf(ALBERT, 'encoder', 6, 36) + 2 * tableOf(ALBERT)]]);
  assert.deepEqual(linesOf(shown, { ...ALBERT, stored: {} }), [['pass', 6, blocksOf(ALBERT, 'encoder', 6, 36)]], 'no head over the vocabulary');
  assert.equal(stepOf(shown, ALBERT)?.held, null);
});

test('where a mask is not known yet, nothing is told', () => {
  assert.equal(stepOf(frame(9, 3, () => null), CAUSAL), null);
});

test('each objective learns from tokens of its own', () => {
  const learnt = (shown, objective, more = {}) => {
    const found = learnsFrom(shown, { ...CAUSAL, objective, ...more });
    return found && [found.n, found.of, found.marks.map((mark) => mark[0]).join('')];
  };
  assert.deepEqual(learnt(frame(5, 2), 'next-token'), [6, 7, 'nyyyyyy']);
  assert.deepEqual(learnt(frame(5, 2), 'next-token-of-answer'), [2, 7, 'nnnnnyy']);
  assert.deepEqual(learnt(wired(5, 2), 'next-token-of-target'), [2, 8, 'nnnnnnyy']);
  assert.deepEqual(learnt(frame(9, 0), 'masked'), [1, 9, 'nmmmmmmmn'], '15 % of 7');
  assert.equal(learnsFrom(frame(9, 0), { ...CAUSAL, objective: 'masked' })?.words, 7);
  assert.equal(learnt(frame(9, 0), 'masked tokens'), null, 'of how many, its files do not say');
  assert.equal(learnt(frame(9, 0), undefined), null);
  assert.equal(learnt(frame(9, 0), 'next token', { pretrained_as: 'prefix' }), null);
});

test('numbers are as short as they can be said', () => {
  assert.deepEqual([0, 322, 999, 1000, 4160, 618240, 999_499, 999_700, 2_401_280, 124_439_808, 7.2e9, 3e12].map(countOf),
    ['0', '322', '999', '1.00 k', '4.16 k', '618 k', '999 k', '1.00 M', '2.40 M', '124 M', '7.20 G', '3.00 T']);
  assert.deepEqual([96, 3456, 92_160, 999_499, 999_600, 2_583_529, 999_960_000, 3e9].map(bytesOf), ['96 B', '3.5 kB', '92 kB', '999 kB', '1.0 MB', '2.6 MB', '1.00 GB', '3.00 GB']);
});
