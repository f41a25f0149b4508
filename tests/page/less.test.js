import assert from 'node:assert/strict';
import test from 'node:test';
import { lessOf } from '../../www/element-draw.js';
import { translator } from '../../www/i18n/index.js';

const frame = (layers, asked, heads = 4) => ({ blocks: Object.keys(layers).map((name) => ({ name })), layers, heads, view: { asked: { head: 1, ...asked }, t: translator('en') } });
const wired = (encoder, decoder) => ({ encoder, cross: decoder, decoder });

test('what is shown is said where fewer layers or heads are there than were asked for', () => {
  assert.equal(lessOf(frame({ decoder: 6 }, { layer: 6 })), '');
  assert.equal(lessOf(frame({ decoder: 6 }, { layer: 12 })), 'layer 6 of 6');
  assert.equal(lessOf(frame(wired(3, 3), { layer: 6 })), 'layer 3 of 3');
  assert.equal(lessOf(frame(wired(12, 2), { layer: 12 })), 'decoder layer 2 of 2');
  assert.equal(lessOf(frame(wired(4, 2), { layer: 5 })), 'encoder layer 4 of 4 · decoder layer 2 of 2');
  assert.equal(lessOf(frame({ decoder: 6 }, { layer: 1, head: 8 })), 'head 4 of 4');
  assert.equal(lessOf(frame(wired(3, 3), { layer: 6, head: 8 })), 'layer 3 of 3 · head 4 of 4');
  assert.equal(lessOf(frame({ decoder: 6 }, { layer: 1, head: 'all' })), '');
});

test('of a run without attention nothing is known to be missing', () => {
  const { blocks, ...rest } = frame({}, { layer: 9 });
  assert.equal(lessOf({ ...rest, blocks: [...blocks, { name: 'decoder' }] }), '');
});
