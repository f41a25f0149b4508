/** What a painted mask changed of a run is told only where nothing else is another. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { before, questionOf } from '../../www/compare.js';
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
