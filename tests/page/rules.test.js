/** Rules of a mask as a person chooses them: what is one, how it is spelled, how far it reaches. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isUntrained } from '../../www/models.js';
import { cameTo, departing, dialOf, isOfSentence, join, leftOf, mainOf, opensAhead, othersThan, ownName, partsOf, plainest, readRule, sourcesOf, spell, withPlus } from '../../www/rules.js';

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
  assert.deepEqual(SPELLED.filter(opensAhead), ['full', 'prefix:4', 'window:3', 'documents:5']);
  assert.deepEqual(SPELLED.filter((text) => partsOf(text)?.back), ['causal', 'prefix', 'prefix:4', 'causal+window:3', 'causal+documents:5']);
});

test('a rule that a model has of its own, and what it says of a source that the model has not, change nothing', () => {
  const [causal, wired, far] = [{ decoder: 'causal' }, { encoder: 'full', decoder: 'causal', cross: 'full' }, { decoder: 'causal+window:128' }];
  for (const [text, masks, left] of /** @type {Array<[string, Record<string, string>|undefined, string|undefined]>} */ ([
    ['causal', causal, undefined], ['full', { encoder: 'full' }, undefined], ['prefix', { decoder: 'prefix:N' }, undefined], ['causal', wired, undefined], ['causal+window:128', far, undefined],
    ['full', causal, 'full'], ['prefix:4', { decoder: 'prefix:N' }, 'prefix:4'], ['causal', far, 'causal'], ['causal+window:64', far, 'causal+window:64'],
    ['source:2', { encoder: 'full' }, undefined], ['full+source:2', causal, 'full'], ['source:2', wired, 'source:2'], ['causal+source:2', wired, 'source:2'], ['causal', undefined, 'causal'],
  ])) assert.equal(departing(text, masks), left, text);
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

test('a link may give any model a window or two texts that look ahead, or that do not: as wide as the text it is its plain rule', () => {
  const named = (text, writes) => plainest(/** @type {any} */ (partsOf(text)), { rows: 9, source: 9, writes });
  for (const writes of [true, false]) {
    assert.deepEqual(['window:9', 'causal+window:9', 'documents:9', 'causal+documents:9', 'window:3'].map((text) => named(text, writes)), ['full', 'causal', 'full', 'causal', null]);
  }
  const causal = { family: 'unmasked', architecture: 'causal', masks: { decoder: 'causal' } };
  assert.equal(isUntrained(causal, 'window:99', { rows: 14, source: 9 }), true, 'it sees what comes');
});

test('a prefix that ended with all that there is hid nothing, and one of two sentences did', () => {
  const run = { rows: 9, source: 9, writes: false };
  assert.deepEqual([cameTo('prefix', 9, run), cameTo('prefix', 5, run), cameTo('prefix', null, run), cameTo('prefix:9', 9, run), cameTo(null, null, run)], ['full', 'prefix', 'prefix', 'prefix:9', null]);
  assert.equal(cameTo('prefix', 9, { ...run, rows: 14, writes: true }), 'prefix', 'its answer looks back');
  const encoder = { family: 'unmasked', architecture: 'encoder', masks: { encoder: 'full' } };
  assert.equal(isUntrained(encoder, cameTo('prefix', 9, run), run), false);
});

test('another sentence takes away the place that a rule named, not how much of the source is seen', () => {
  assert.deepEqual(['causal+documents:3+source:1', 'source:1', 'prefix:4', 'prefix+source:2', 'causal+window:3', ''].map(leftOf), ['source:1', 'source:1', '', 'prefix+source:2', 'causal+window:3', '']);
});

test('a plus that an address holds unescaped is one', () => {
  const read = (query) => readRule(withPlus(new URLSearchParams(query).get('mask')));
  assert.deepEqual(['mask=causal+window:3', 'mask=causal%2Bwindow:3', 'mask=causal+window:3+source:1', 'mask=+full', ''].map(read), ['causal+window:3', 'causal+window:3', 'causal+window:3+source:1', undefined, undefined]);
});
