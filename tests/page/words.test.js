import assert from 'node:assert/strict';
import test from 'node:test';
import { cutOf, defaultBlank, endOfFirst, firstSentence, wordAt, wordsOf } from '../../www/words.js';

/** Tokens as `[start, end]` pairs; null for a sign. */
const tokens = (...spans) => spans.map((span) => (span ? { start: span[0], end: span[1], special: false } : { start: null, end: null, special: true }));

test('a word has all its pieces, signs have none', () => {
  const text = 'The children play.';
  const words = wordsOf(text, tokens(null, [0, 3], [4, 9], [9, 12], [13, 17], [17, 18], null));
  assert.deepEqual(words.map(({ text: word, tokens: own }) => [word, own]), [['The', [1]], ['children', [2, 3]], ['play', [4]], ['.', [5]]]);
  assert.equal(wordAt(words, 3), 1);
  assert.equal(wordAt(words, 0), -1);
});

test('the first blank is the last whole word of some length', () => {
  const text = 'The old doctor is tired.';
  const words = wordsOf(text, tokens([0, 3], [4, 7], [8, 14], [15, 17], [18, 23], [23, 24]));
  assert.deepEqual(defaultBlank(words).map((at) => words[at].text), ['tired']);
});

test('a sentence of short or split words still gets a blank, an empty one none', () => {
  const words = wordsOf('I am mathematically ok', tokens([0, 1], [2, 4], [5, 10], [10, 19], [20, 22]));
  assert.deepEqual(defaultBlank(words).map((at) => words[at].text), ['mathematically']);
  assert.deepEqual(defaultBlank([]), []);
});

test('a token that carries its leading space belongs to its word', () => {
  const words = wordsOf('a cat', tokens([0, 1], [1, 5]));
  assert.deepEqual(words.map(({ tokens: own }) => own), [[0], [1]]);
});

test('a word of very many pieces is not blanked unasked', () => {
  const long = 'x'.repeat(10);
  const words = wordsOf(`${long} ab`, tokens(...Array.from({ length: 10 }, (_, at) => [at, at + 1]), [11, 13]));
  assert.deepEqual(defaultBlank(words).map((at) => words[at].text), ['ab']);
});

test('a first sentence ends with its separator, not with a blank that stands in it', () => {
  const [cls, mask, separator] = [1, 4, 2].map((id) => ({ id, special: true, start: null, end: null }));
  const word = (start, end) => ({ id: 10, special: false, start, end });
  const pair = [cls, word(0, 1), mask, word(9, 10), separator, word(0, 2), separator];
  assert.equal(endOfFirst(pair, 4), 4);
  assert.equal(endOfFirst(pair, null), 2);
  assert.deepEqual(firstSentence(pair, 4).map(({ end }) => end), [null, 1, null, 10, null, null, null]);
  assert.equal(cutOf({ text: 'a [MASK] b and more', pair: 'xy z' }, pair, 4), 'and more z');
});
