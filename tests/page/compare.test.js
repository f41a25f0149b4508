/** What a painted mask changed of a run is told only where nothing else is another. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { askShares, before, isTakenBack, questionOf, sharesOf } from '../../www/compare.js';
import { Timeline } from '../../www/timeline.js';

const candidate = (id, probability) => ({ id, piece: `w${id}`, probability, kept: true });
function run(steps, ids = [1, 2, 3]) {
  const timeline = new Timeline({ tokens: ids.map((id) => ({ id, piece: `t${id}` })) });
  for (const [row, chosen, probability] of steps) timeline.push({ row, chosen, piece: `w${chosen}`, candidates: [candidate(chosen, probability), candidate(99, 0.01)] });
  return timeline;
}

test('a step is compared while all before it is the same', () => {
  const plain = run([[2, 10, 0.8], [3, 11, 0.7], [4, 12, 0.6]]);
  const painted = run([[2, 10, 0.5], [3, 20, 0.4], [4, 12, 0.3]]);
  assert.deepEqual([...before(plain, painted, 0, false)?.of ?? []], [[10, 0.8], [99, 0.01]]);
  assert.equal(before(plain, painted, 1, false)?.chosen?.id, 11, 'what was chosen there is told');
  assert.equal(before(plain, painted, 2, false), null, 'another token stands before it');
  assert.equal(before(plain, painted, 3, false), null, 'there is no such step');
  assert.equal(before(run([[2, 10, 0.8]], [1, 2, 4]), painted, 0, false), null, 'it read something else');
});

test('blanks filled from one pass know nothing of each other, until one of them is forced', () => {
  const plain = run([[1, 10, 0.8], [2, 11, 0.7]]);
  const painted = run([[1, 20, 0.5], [2, 11, 0.4]]);
  assert.equal(before(plain, painted, 1, true)?.of.get(11), 0.7);
  assert.equal(before(plain, painted, 1, false), null);
  const forced = painted.fork(0, candidate(99, 0.01));
  forced.push(painted.steps[1]);
  assert.equal(before(plain, forced, 1, true), null);
  const both = plain.fork(0, candidate(99, 0.01));
  both.push(plain.steps[1]);
  const again = run([[1, 10, 0.5], [2, 11, 0.4]]).fork(0, candidate(99, 0.01));
  again.push(painted.steps[1]);
  assert.equal(before(both, again, 1, true)?.of.get(11), 0.7, 'where the same was forced in both');
});

test('a choice that was forced and taken back is no other: what comes after it is compared', () => {
  const rest = (forked, ...from) => { for (const step of from) forked.push(step); return forked; };
  const [plain, painted] = [run([[2, 10, 0.8], [3, 11, 0.7]]), run([[2, 10, 0.5], [3, 11, 0.4]])];
  const forced = rest(painted.fork(0, candidate(99, 0.01)), painted.steps[1]);
  const back = rest(forced.fork(0, candidate(10, 0.5)), painted.steps[1]);
  assert.equal(before(plain, forced, 1, false), null);
  assert.equal(before(plain, back, 1, false)?.of.get(11), 0.7);
  assert.equal(before(plain, back, 1, true), null, 'blanks of one pass: it was read anew with the first one');
  const forcedBefore = rest(plain.fork(0, candidate(99, 0.01)), plain.steps[1]);
  assert.deepEqual([isTakenBack(plain, forced), isTakenBack(plain, back), isTakenBack(forcedBefore, forced), isTakenBack(forcedBefore, back)], [false, false, false, true]);
});

test('a question is another by all that is asked but the mask and what was forced', () => {
  const asked = /** @type {any} */ ({ text: 'a', blanks: null, fill: 'parallel', maxNewTokens: 40, candidates: 10 });
  assert.equal(questionOf(asked), questionOf({ ...asked, edits: [{ site: 'decoder', row: 1, key: 0, visible: false }], forced: [[1, 2]], mask: {}, rule: 'full' }));
  for (const change of [{ text: 'b' }, { pair: 'c' }, { blanks: [1] }, { fill: 'confidence' }, { sampling: { temperature: 1, seed: 1 } }, { language: 3 }]) {
    assert.notEqual(questionOf({ ...asked, ...change }), questionOf(asked), JSON.stringify(change));
  }
});

test('what a person forced in the run before is not told as the choice of the model', () => {
  const forced = run([[2, 10, 0.8]]).fork(0, candidate(99, 0.01));
  assert.equal(forced.steps[0].chosen, 99);
  assert.deepEqual(before(forced, run([[2, 10, 0.5]]), 0, false)?.chosen, candidate(10, 0.8));
});

test('what was no candidate before is told all the same, once somebody asked for it: less than can be shown, where it is missing there, too', () => {
  const [plain, painted] = [run([[2, 10, 0.8], [3, 11, 0.7]]), run([[2, 10, 0.5], [3, 20, 0.4]])];
  assert.equal(before(plain, painted, 0, false)?.isWhole, false);
  plain.shares = [new Map([[10, 0.7999], [30, 0.002]]), new Map()];
  const told = before(plain, painted, 0, false);
  assert.deepEqual([told?.isWhole, [...told?.of ?? []]], [true, [[10, 0.8], [30, 0.002], [99, 0.01]]], 'the number of a candidate is its own');
  const logits = [0, 5, -9, 4, -1];
  const sum = logits.reduce((whole, logit) => whole + Math.exp(logit), 0);
  assert.deepEqual([...sharesOf(logits)].map(([id, p]) => [id, p.toFixed(12)]), [0, 1, 3, 4].map((id) => [id, (Math.exp(logits[id]) / sum).toFixed(12)]));
  assert.deepEqual([...sharesOf([0, 20], 4)].map(([id, p]) => [id, p.toFixed(6)]), [[0, '0.006693'], [1, '0.993307']], 'at the temperature of the run');
});

test('its logits are asked for pass by pass, as much at once as can be brought back', () => {
  const of = (architecture, header, steps) => {
    const timeline = new Timeline({ model: { architecture }, tokens: [1, 2, 3].map((id) => ({ id, piece: `t${id}` })), ...header });
    for (const [row, chosen, rows] of steps) timeline.push({ row, chosen, piece: '', candidates: [], rows });
    return timeline;
  };
  const causal = of('causal', { source_length: 3 }, [[2, 10], [3, 11], [4, 12]]);
  assert.deepEqual(askShares(causal, 100), [{ request: { ids: [1, 2, 3], sourceLength: 3, targetIds: [10, 11] }, steps: [0, 1, 2], rows: [2, 3, 4] }]);
  assert.deepEqual(askShares(causal, 2_000_000).map(({ request: { targetIds }, rows }) => [targetIds, rows]), [[[10], [2, 3]], [[10, 11], [4]]]);
  const wired = of('encoder-decoder', { source_length: 3, target: [{ id: 7, piece: '' }] }, [[0, 10], [1, 11]]);
  assert.deepEqual(askShares(wired, 100), [{ request: { ids: [1, 2, 3], sourceLength: 3, targetIds: [7, 10] }, steps: [0, 1], rows: [0, 1] }]);
  const all = [0, 1, 2];
  assert.deepEqual(askShares(of('encoder', {}, [[2, 10, all], [0, 11, []]]), 100), [{ request: { ids: [1, 2, 3] }, steps: [0, 1], rows: [0, 2] }], 'all from one pass');
  assert.deepEqual(askShares(of('encoder', {}, [[2, 10, all], [0, 11, all]]), 100).map(({ request: { ids }, rows }) => [ids, rows]), [[[1, 2, 3], [2]], [[1, 2, 10], [0]]]);
  assert.deepEqual(askShares(of('encoder', {}, []), 100), []);
});
