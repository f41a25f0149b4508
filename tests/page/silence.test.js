/** Which heads a button silences, and that it says so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { translator } from '../../www/i18n/index.js';
import { headsShown, silencesOf } from '../../www/views/silence.js';

const frame = (layers, view, heads = 2) => /** @type {any} */ ({ blocks: Object.keys(layers).map((name) => ({ name })), layers, heads, view: { t: translator('en'), ...view } });
const wired = (encoder, decoder) => ({ encoder, cross: decoder, decoder });

test('a button says the layer whose head it silences, also where its stack has fewer than are shown', () => {
  assert.deepEqual(silencesOf(frame({ decoder: 6 }, { layer: 1, head: 2 })), { words: 'silence head 3 of layer 2', names: ['silence head 3 of layer 2'] });
  assert.deepEqual(silencesOf(frame(wired(3, 3), { layer: 1, head: 'all' })), { words: 'silence all heads of layer 2', names: ['encoder', 'cross-attention', 'decoder'] });
  const unlike = frame(wired(1, 2), { layer: 1, head: 0 });
  assert.deepEqual(silencesOf(unlike), { words: 'silence head 1', names: ['encoder layer 1 of 1', 'cross-attention layer 2 of 2', 'decoder layer 2 of 2'] });
  assert.deepEqual(['encoder', 'decoder'].map((name) => headsShown(unlike, name)[0].layer), [0, 1]);
  // Layer 1 both have.
  assert.equal(silencesOf(frame(wired(1, 2), { layer: 0, head: 'all' })).words, 'silence all heads of layer 1');
});
