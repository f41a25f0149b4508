/** What is said of a mask: no more than what is true of the run that is shown. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { storedOf } from '../../www/element-frame.js';
import { translator } from '../../www/i18n/index.js';
import { isUntrained } from '../../www/models.js';
import { partsOf } from '../../www/rules.js';
import { sayMask } from '../../www/views/rule.js';

const t = translator('en');
const edit = (site, row, key, visible) => ({ site, row, key, visible });
const said = (architecture, rule, more = {}) => sayMask(architecture, partsOf(rule), { edits: [], sources: null, sourceLength: 9, t, ...more });

test('another rule of an encoder-decoder is that of its target alone, and how much of the source is seen is told', () => {
  assert.equal(said('causal', 'causal+window:3'), 'Only near neighbours.');
  assert.equal(said('encoder-decoder', null), 'Source open, target back and across.');
  assert.equal(said('encoder-decoder', 'causal+window:3'), 'Source open. Target: Only near neighbours.');
  assert.equal(said('encoder-decoder', null, { sources: 1 }), 'Source open. Target: Nobody looks ahead. Across: the first 1 of 9.');
  assert.equal(said('encoder-decoder', 'full+source:2', { sources: 2 }), 'Source open. Target: Everyone sees everyone. Across: the first 2 of 9.');
  assert.equal(said('encoder-decoder', null, { sources: 9 }), 'Source open, target back and across.', 'no less than all of it');
  assert.equal(said('causal', null, { sources: 1 }), 'Nobody looks ahead.', 'there is no source to look at');
});

test('what was painted is excepted where it makes the sentence untrue', () => {
  const edits = [edit('decoder', 3, 1, false)];
  assert.equal(said('causal', null, { edits }), 'Nobody looks ahead.');
  assert.equal(said('causal', null, { edits: [...edits, edit('decoder', 1, 6, true)] }), 'Nobody looks ahead. Except where painted.');
  assert.equal(said('causal', 'full', { edits }), 'Everyone sees everyone. Except where painted.');
  assert.equal(said('encoder', null, { edits: [edit('encoder', 3, 1, false)] }), 'Everyone sees everyone. Except where painted.');
  assert.equal(said('encoder', 'causal', { edits: [edit('encoder', 3, 1, false)] }), 'Nobody looks ahead.');
  for (const [architecture, site] of [['prefix', 'decoder'], ['encoder-decoder', 'cross']]) assert.match(said(architecture, null, { edits: [edit(site, 3, 1, false)] }), / Except where painted\.$/);
});

test('a stored run tells under which mask its model was trained, where it is one of the page’s own', () => {
  const text = { rows: 12, source: 9 };
  const stored = (family, architecture, rule) => isUntrained(storedOf(/** @type {any} */ ({ header: { model: { family, architecture } } })), rule, text);
  assert.deepEqual([stored('unmasked', 'causal', 'window:3'), stored('unmasked', 'causal', 'causal'), stored('unmasked', 'prefix', 'prefix:9'), stored('unmasked', 'prefix', 'full')], [true, false, false, true]);
  assert.deepEqual([stored('unmasked', 'encoder', 'causal'), stored('unmasked', 'encoder', null), stored('unmasked', 'encoder-decoder', 'source:3'), stored('unmasked', 'encoder-decoder', 'causal')], [true, false, true, false]);
  assert.deepEqual([stored('gpt2', 'causal', 'full'), stored(undefined, 'causal', 'full'), isUntrained(storedOf(null), 'full', text)], [false, false, false]);
});
