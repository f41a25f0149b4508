/** Silenced heads as text, as a set, and as the gates of a request. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MOST_SILENCED, fitting, gatesOf as gatesOfFitting, isSilent, readSilenced, toggled, writeSilenced } from '../../www/gates.js';

const gatesOf = (heads, model) => gatesOfFitting(fitting(heads, model), model);
const head = (site, layer, one) => ({ site, layer, head: one });

test('heads are written from 1 and read again; what does not fit is none', () => {
  const heads = [head('decoder', 5, 2), head('cross', 0, 0), head('encoder', 2, 7)];
  assert.equal(writeSilenced(heads), 'd6.3c1.1e3.8');
  assert.deepEqual(readSilenced('d6.3c1.1e3.8'), heads);
  for (const text of ['', null, undefined, 'd0.1', 'd1.0', 'd6', 'd6.3,', 'x1.1', 'd6.3d6.3', 'd1.1'.repeat(MOST_SILENCED + 1), 'd1000.1', ' d1.1']) {
    assert.deepEqual(readSilenced(text), [], String(text).slice(0, 20));
  }
});

test('the same heads again are heard again, where all of them were silent', () => {
  const [a, b, c] = [head('decoder', 0, 0), head('decoder', 0, 1), head('cross', 0, 0)];
  assert.deepEqual(toggled([], [a, b]), [a, b]);
  assert.deepEqual(toggled([a], [a, b]), [a, b]);
  assert.deepEqual(toggled([c, a, b], [a, b]), [c]);
  assert.equal(isSilent([a, b], c), false);
});

test('gates are of the shape of each stack, and heads that it has not do nothing', () => {
  const model = { masks: { encoder: 'full', decoder: 'causal', cross: 'full' }, layers: { encoder: 2, decoder: 1 }, heads: 2 };
  assert.deepEqual(gatesOf([head('encoder', 1, 0), head('cross', 0, 1)], model), { encoder: [[1, 1], [0, 1]], cross: [[1, 0]] });
  assert.equal(gatesOf([head('decoder', 1, 0), head('decoder', 0, 2)], model), undefined);
  assert.equal(gatesOf([], model), undefined);
  const unlike = { ...model, stacks: { encoder: { layers: 1, heads: 3 }, decoder: { layers: 2, heads: 1 } } };
  assert.deepEqual(gatesOf([head('encoder', 0, 2), head('decoder', 1, 0)], unlike), { encoder: [[1, 1, 0]], decoder: [[1], [0]] });
  assert.equal(gatesOf([head('encoder', 0, 0)], { masks: { decoder: 'causal' }, layers: { encoder: 0, decoder: 1 }, heads: 2 }), undefined, 'an address of another machine');
});
