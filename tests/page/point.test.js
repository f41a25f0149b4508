import assert from 'node:assert/strict';
import test from 'node:test';
import { pointedBy, spotFor } from '../../www/element-point.js';

const source = (...spans) => spans.map((span) => (span ? { state: 'source', start: span[0], end: span[1] } : { state: 'special' }));
const causal = { architecture: 'causal', source: source(null, [0, 3], [4, 7], null), target: [{ state: 'answer' }, { state: 'answer' }] };
const wired = { architecture: 'encoder-decoder', source: source([0, 2], [2, 3], [4, 7]), target: [{ state: 'special' }, { state: 'answer' }] };
const encoder = { architecture: 'encoder', source: source(null, [0, 7], null), target: [] };

test('a source token is found by its characters, whatever the pieces', () => {
  const pointed = pointedBy(causal, { stack: 'decoder', position: 2 });
  assert.deepEqual(pointed, { start: 4, end: 7 });
  assert.deepEqual(spotFor(wired, pointed), { stack: 'encoder', position: 2 });
  assert.deepEqual(spotFor(encoder, pointed), { stack: 'encoder', position: 1 });
});

test('an answer token is found by its place in the answer', () => {
  const pointed = pointedBy(wired, { stack: 'decoder', position: 1 });
  assert.deepEqual(pointed, { answer: 0 });
  assert.deepEqual(spotFor(causal, pointed), { stack: 'decoder', position: 4 });
  assert.equal(spotFor(encoder, pointed), null);
});

test('signs point at nothing elsewhere', () => {
  assert.equal(pointedBy(causal, { stack: 'decoder', position: 0 }), null);
  assert.equal(pointedBy(wired, { stack: 'decoder', position: 0 }), null);
  assert.equal(spotFor(causal, null), null);
});

test('what every answer begins with is no word of it, though a model may have it as one', () => {
  const started = { ...wired, target: [{ state: 'answer' }, { state: 'answer' }], starts: 1 };
  assert.equal(pointedBy(started, { stack: 'decoder', position: 0 }), null);
  assert.deepEqual(pointedBy(started, { stack: 'decoder', position: 1 }), { answer: 0 });
  assert.deepEqual(spotFor(started, { answer: 0 }), { stack: 'decoder', position: 1 });
});
