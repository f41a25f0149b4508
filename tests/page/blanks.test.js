/** Two blanks, apart and together: which two, what the engine is asked for, and what is made of its logits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bitsBetween, blanksOf, likeliest, logShares, pairOf, readBlanks } from '../../www/blanks.js';
import { placesOf } from '../../www/element-frame.js';
import { Machine } from '../../www/machine.js';
import { sayBlanks } from '../../www/views/blanks.js';

const MASK = 3;
const t = (key, values = {}) => `${key} ${Object.values(values).join(' ')}`.trim();
const frame = (states, row = null) => /** @type {any} */ ({
  source: states.map((state, position) => ({ id: 9, piece: 'x', position, state })), current: row === null ? null : { stack: 'encoder', row },
});
const near = (a, b) => assert.ok(Math.abs(a - b) < 1e-12, `${a} is not ${b}`);
const exp = (shares) => [...shares].map(Math.exp);

test('of many blanks the one at which the run is and the next one are shown, also where they are filled', () => {
  assert.deepEqual(blanksOf(frame(['special', 'filled', 'source', 'blank'])), [1, 3]);
  assert.equal(pairOf(frame(['special', 'blank', 'source'])), null);
  assert.deepEqual(pairOf(frame(['special', 'blank', 'source', 'blank'])), { rows: [1, 3], count: 2, at: 0 });
  const many = ['special', 'blank', 'filled', 'source', 'blank', 'blank'];
  for (const [row, rows, at] of [[1, [1, 2], 0], [2, [2, 4], 1], [4, [4, 5], 2], [5, [4, 5], 2], [null, [1, 2], 0]]) {
    assert.deepEqual(pairOf(frame(many, row)), { rows, count: 4, at });
  }
});

test('a softmax of any logits is whole, and of two that are the same no bit is between', () => {
  const shares = logShares([1000, 1001, -1000, 999.5]);
  near(exp(shares).reduce((sum, share) => sum + share, 0), 1);
  near(shares[1] - shares[0], 1);
  assert.equal(bitsBetween(shares, logShares([1000, 1001, -1000, 999.5])), 0);
  // Half and half from a quarter and three quarters: (log2 2 + log2 2/3) / 2.
  near(bitsBetween(logShares([0, 0]), logShares([0, Math.log(3)])), (1 + Math.log2(2 / 3)) / 2);
  assert.equal(bitsBetween(logShares([0, -Infinity]), logShares([5, -Infinity])), 0, 'what cannot be counts for nothing');
  assert.deepEqual(exp(logShares([1000, 1001, 998], 2)).map((share) => share.toFixed(9)), exp(logShares([0, 0.5, -1])).map((share) => share.toFixed(9)), 'a temperature divides the logits');
});

/** An engine whose second blank says what stands in the first: token 5 is followed by 6, 6 by 5, any other by 7. */
function engine() {
  const asked = /** @type {any[]} */ ([]);
  const candidates = [5, 6].map((id, at) => ({ id, piece: `w${id}`, space: true, probability: [0.5, 0.25][at], kept: true }));
  const logits = [0, 0, 0, 0, 0, 2, 1, 0];
  return {
    asked,
    generate: (request) => {
      asked.push({ generate: request });
      return { async* [Symbol.asyncIterator]() { for (const row of request.blanks) yield { row, chosen: 5, candidates, logits }; } };
    },
    sweep: async (request, variants) => {
      asked.push({ sweep: request, variants });
      return { variants: variants.map(({ ids }) => ({ logits: [logits.map((_, id) => (id === (ids[1] === 5 ? 7 : 5) ? 9 : 0))] })) };
    },
    forward: async (request) => { asked.push({ forward: request }); return { tokens: request.ids.map((id) => ({ id, piece: `w${id}`, space: false })) }; },
  };
}

test('both blanks are asked for at once, then the second under each guess of the first', async () => {
  const fake = engine();
  const base = { ids: [1, MASK, 9, MASK, MASK, 2], sourceLength: 6, mask: { encoder: 'causal' }, gates: undefined };
  const pair = { rows: [1, 3], count: 3, at: 0 };
  const two = await readBlanks(/** @type {any} */ (fake), base, pair, () => true);
  const [{ generate }, { sweep, variants }, { forward }] = fake.asked;
  assert.deepEqual([generate.ids, generate.blanks, generate.fill, generate.candidates, generate.watch.rows, generate.sampling], [base.ids, [1, 3], 'parallel', 4, [1, 3], undefined]);
  assert.deepEqual([sweep.ids, sweep.sourceLength, sweep.mask, sweep.watch.rows, sweep.watch.what], [base.ids, 6, base.mask, [3], ['logits']]);
  assert.deepEqual(variants, [{ ids: [1, 5, 9, MASK, MASK, 2] }, { ids: [1, 6, 9, MASK, MASK, 2] }], 'the other blanks stay');
  assert.deepEqual(forward.ids, [7], 'what is no candidate is named by a text that holds it');
  assert.ok(two);
  assert.deepEqual(two.given.map(({ guess, best }) => [guess.id, best.id, best.piece, best.space]), [[5, 7, 'w7', false], [6, 5, 'w5', true]]);
  const whole = Math.exp(9) + 7;
  [1 / whole, 1 / whole].forEach((share, at) => near(two.given[0].shares[at], share));
  near(two.given[1].best.probability, Math.exp(9) / whole);
  near(two.given[0].before, 1 / (Math.exp(2) + Math.exp(1) + 6));
  near(two.bits, (2 * two.given[0].bits + two.given[1].bits) / 3);
  assert.equal(two.vocabulary, 8);
  assert.deepEqual(likeliest(two), { row: 1, column: 0, p: 0.25 * two.given[1].shares[0] });
  assert.equal(await readBlanks(/** @type {any} */ (engine()), base, pair, () => false), null, 'nobody wants it any more');
  // At the temperature of the run, as the candidates beside it: they are the engine's, the others are made so.
  const warm = engine();
  const warmer = await readBlanks(/** @type {any} */ (warm), { ...base, sampling: { temperature: 2 } }, pair, () => true);
  assert.deepEqual(warm.asked[0].generate.sampling, { temperature: 2 });
  near(warmer?.given[1].best.probability ?? 0, Math.exp(4.5) / (Math.exp(4.5) + 7));
});

test('what is said names each blank’s own best, the likeliest pair, and what follows from the chosen one', () => {
  const guess = (id, probability) => ({ id, piece: `w${id}`, space: id !== 6, probability });
  const given = (id, probability, shares, bits) => ({ guess: guess(id, probability), shares, best: guess(7, 0.8), before: 0.1, bits });
  const two = { rows: [1, 3], count: 2, at: 0, vocabulary: 8, seconds: [guess(5, 0.5), guess(6, 0.25)], given: [given(8, 0.4, [0.1, 0.2], 1.5), given(9, 0.2, [0.9, 0.001], 0.5)], bits: 7 / 6, chosen: 9 };
  assert.deepEqual(sayBlanks(two, new Set(), t), [
    'blanks.apart w8 w5 40% 50% 20% 4.0%', 'blanks.together w9 w5 20% 50% 10% 18%', 'blanks.mean blanks.given w9 w7 80% 10% 0.50 1.17',
  ]);
  const [of, , same] = sayBlanks({ ...two, count: 3, at: 1, given: [given(8, 0.4, [0.9, 0.2], 1.5)], chosen: 8 }, new Set(), t);
  assert.deepEqual([of, same], ['blanks.of 3 2 3', 'blanks.same']);
  const [apart] = sayBlanks({ ...two, seconds: [guess(6, 0.5), guess(5, 0.25)] }, new Set([8]), t);
  assert.equal(apart, 'blanks.apart w8 ·w6 40% 50% 20% 4.0%', 'a piece that goes on with a word is marked');
});

test('it is offered where an engine fills blanks, and nowhere else', () => {
  const places = (canRun, fills) => placesOf(/** @type {any} */ ({ canRun, fills })).includes('blanks');
  assert.deepEqual([places(true, true), places(true, false), places(false, false)], [true, false, false]);
});

test('a machine asks under its run’s own mask, silent heads, temperature and second sentence, of the text as it was before anything was filled in', async () => {
  const machine = new Machine(() => {});
  const fake = Object.assign(engine(), { describe: () => ({ architecture: 'encoder' }) });
  const pair = { rows: [1, 3], count: 2, at: 0 };
  const [mask, gates, ids] = [{ encoder: 'causal' }, { encoder: [[0]] }, [1, MASK, 9, MASK, 2]];
  Object.assign(machine, { engine: fake, settings: { mask, gates, fill: 'confidence', sampling: { temperature: 2 } }, fillBase: { sourceLength: 3 }, blankedIds: null });
  assert.equal(await machine.twoBlanks(pair, () => true), null, 'without a blank there is nothing to ask of');
  machine.blankedIds = ids;
  await machine.twoBlanks(pair, () => true);
  for (const { ids: read, sourceLength, mask: under, gates: silent, sampling } of [fake.asked[0].generate, fake.asked[1].sweep]) {
    assert.deepEqual([read, sourceLength, under, silent, sampling], [ids, 3, mask, gates, { temperature: 2 }]);
  }
});
