/** Rules of a mask as a person chooses them: what is one, how it is spelled, how far it reaches. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isUntrained } from '../../www/models.js';
import { dialOf, isOfSentence, join, mainOf, opensAhead, othersThan, ownName, partsOf, readRule, sourcesOf, spell } from '../../www/rules.js';

const SPELLED = ['full', 'causal', 'prefix', 'prefix:4', 'window:3', 'causal+window:3', 'documents:5', 'causal+documents:5'];

test('a rule is read and spelled as the engine has it, and nothing else is one', () => {
  for (const text of SPELLED) {
    assert.equal(readRule(text), text);
    assert.equal(spell(/** @type {any} */ (partsOf(text)), text.startsWith('causal+')), text);
  }
  for (const text of ['', null, undefined, 'Full', 'prefix:0', 'window', 'window:', 'window:03', 'window:10000', 'documents:5,9', 'causal+prefix:3', 'causal+causal', 'full:2', 'padding:3', ' full', 'constructor']) {
    assert.equal(readRule(text), undefined, String(text));
    assert.equal(partsOf(text), null, String(text));
  }
});

test('how much of the source is seen stands after a rule, or alone', () => {
  for (const [text, main, sources] of /** @type {const} */ ([['source:2', '', 2], ['causal+window:3+source:1', 'causal+window:3', 1], ['full+source:12', 'full', 12], ['causal', 'causal', null]])) {
    assert.equal(readRule(text), text);
    assert.deepEqual([mainOf(text), sourcesOf(text)], [main, sources]);
    assert.equal(join(main, sources), text);
    assert.deepEqual(partsOf(text), partsOf(main));
  }
  for (const text of ['source', 'source:0', 'source:2+causal', 'causal+source:', 'causalsource:2', 'source:2+source:3', '+source:2', 'causal+full+source:2']) assert.equal(readRule(text), undefined, text);
  assert.equal(isOfSentence('source:2'), false);
  assert.equal(opensAhead('full+source:2'), true);
});

test('what writes never looks ahead under a window or two texts', () => {
  assert.equal(spell({ name: 'window', n: 3 }, true), 'causal+window:3');
  assert.equal(spell({ name: 'window', n: 3 }, false), 'window:3');
  assert.equal(spell({ name: 'prefix', n: 3 }, true), 'prefix:3');
  assert.deepEqual(SPELLED.filter(opensAhead), ['full', 'prefix:4']);
});

test('a model is offered what differs from its own, and a prefix where it is to end', () => {
  assert.equal(ownName({ decoder: 'causal+window:128' }), 'causal');
  assert.equal(ownName({ encoder: 'full', decoder: 'causal', cross: 'full' }), 'causal');
  assert.deepEqual(othersThan('causal'), ['full', 'prefix', 'window', 'documents']);
  assert.deepEqual(othersThan('prefix'), ['full', 'causal', 'prefix', 'window', 'documents']);
  assert.ok(othersThan('full', 'full').includes('full'), 'what a link asked for is shown');
});

test('a prefix ends within the source, two texts have a token each, a window at least the row itself', () => {
  const frame = (architecture, wholeRows, sourceLength) => /** @type {any} */ ({ architecture, blocks: [{ wholeRows }], sourceLength });
  assert.deepEqual(dialOf('prefix', frame('causal', 14, 9)), { most: 9, first: 9 });
  assert.deepEqual(dialOf('prefix', frame('encoder', 9, 4)), { most: 8, first: 4 });
  assert.deepEqual(dialOf('window', frame('causal', 14, 9)), { most: 14, first: 3 });
  assert.deepEqual(dialOf('documents', frame('causal', 14, 9)), { most: 13, first: 4 });
  for (const name of /** @type {const} */ (['prefix', 'window', 'documents'])) {
    const { most, first } = dialOf(name, frame('causal', 1, 1)) ?? { most: 0, first: 0 };
    assert.ok(first >= 1 && most >= first, name);
  }
  assert.equal(dialOf('full', frame('causal', 14, 9)), null);
});

test('a rule that names a place is of one sentence', () => {
  assert.deepEqual(SPELLED.filter(isOfSentence), ['prefix:4', 'documents:5', 'causal+documents:5']);
});

test('a model was trained with its own rule, however it is spelled', () => {
  const own = (decoder) => ({ family: 'unmasked', architecture: decoder, masks: { decoder } });
  const encoder = { family: 'unmasked', architecture: 'encoder', masks: { encoder: 'full' } };
  const text = { rows: 14, source: 9 };
  const untrained = (description, rule) => isUntrained(description, rule, text);
  for (const rule of ['full', 'causal+window:3', 'causal+documents:4', 'prefix:9', 'prefix']) assert.equal(untrained(own('causal'), rule), true, rule);
  for (const rule of ['causal', 'causal+window:14', 'causal+window:99', 'prefix:1', 'causal+documents:14', null, '']) assert.equal(untrained(own('causal'), rule), false, String(rule));
  for (const rule of ['prefix:4', 'prefix:1', 'prefix:14', 'full', 'causal']) assert.equal(untrained(own('prefix'), rule), true, rule);
  for (const rule of ['prefix:9', 'prefix', null]) assert.equal(untrained(own('prefix'), rule), false, String(rule));
  for (const rule of ['window:13', 'prefix:13', 'causal', 'documents:3']) assert.equal(untrained(encoder, rule), true, rule);
  for (const rule of ['window:14', 'prefix:14', 'full', 'documents:14']) assert.equal(untrained(encoder, rule), false, rule);
  const wired = { family: 'unmasked', architecture: 'encoder-decoder', masks: { encoder: 'full', decoder: 'causal', cross: 'full' } };
  for (const [rule, is] of /** @type {const} */ ([['source:1', true], ['source:8', true], ['source:9', false], ['causal+source:9', false], ['full+source:9', true], [null, false]])) assert.equal(untrained(wired, rule), is, String(rule));
  assert.equal(untrained(own('causal'), 'source:1'), false, 'it looks at no other stack');
  assert.equal(untrained({ family: 'gpt2', architecture: 'causal', masks: { decoder: 'causal' } }, 'full'), false, 'its card says it');
});
