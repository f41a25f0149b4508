import assert from 'node:assert/strict';
import test from 'node:test';
import { continuesWord, escapeText, joinPieces, shorten, showPiece, showPieces } from '../../www/pieces.js';

const piece = (text, more = {}) => ({ piece: text, ...more });

test('a word shows itself, its space as a flag', () => {
  assert.deepEqual([showPiece(piece('chat', { space: true })).text, showPiece(piece('chat', { space: true })).spaceBefore], ['chat', true]);
  assert.deepEqual([showPiece(piece('▁chat')).text, showPiece(piece('▁chat')).spaceBefore], ['chat', true]);
  assert.deepEqual([showPiece(piece('Ġcat')).text, showPiece(piece('Ġcat')).spaceBefore], ['cat', true]);
  assert.equal(showPiece(piece('##ing')).text, 'ing');
  assert.equal(showPiece(piece('▁')).kind, 'space');
});

test('what would be invisible or turn its neighbours round is escaped', () => {
  assert.equal(escapeText('a\u202Eb'), 'aU+202Eb');
  assert.equal(escapeText('\u2066x\u2069'), 'U+2066xU+2069');
  assert.equal(escapeText('\u200B\uFEFF'), 'U+200BU+FEFF');
  assert.equal(escapeText('a\nb\tc'), 'a↵b⇥c');
  assert.equal(escapeText('\u0007'), 'U+0007');
  assert.equal(showPiece(piece('x\u202E')).kind, 'escape');
  assert.equal(escapeText('👩\u200D🔬'), '👩\u200D🔬');
});

test('what picks a form stays beside what it shapes, and is named where it stands alone', () => {
  for (const whole of ['❤\uFE0F', '1\uFE0F\u20E3', '辻\u{E0100}', '👩\u200D❤\uFE0F\u200D👨']) assert.equal(escapeText(whole), whole);
  assert.equal(showPiece(piece('❤\uFE0F')).kind, 'text');
  // A heart comes in six bytes: the last three are of what makes it red.
  const heart = ['<0xE2>', '<0x9D>', '<0xA4>', '<0xEF>', '<0xB8>', '<0x8F>'].map((text) => piece(text));
  assert.deepEqual(showPieces(heart).map(({ text }) => text), ['E2', '9D', '❤', 'EF', 'B8', 'U+FE0F']);
  assert.deepEqual(showPiece(piece('\uFE0F')), { text: 'U+FE0F', kind: 'escape', spaceBefore: false, detail: '' });
  // Nor does anything else hide, alone or behind a letter.
  assert.equal(escapeText('a\uFE0F\u{E0101}\u3164\u034Fb'), 'aU+FE0FU+E0101U+3164U+034Fb');
  assert.equal(escapeText('❤\uFE0F\uFE0F'), '❤\uFE0FU+FE0F');
});

test('bytes show as bytes until they complete a character', () => {
  const bytes = ['<0xF0>', '<0x9F>', '<0x99>', '<0x82>'].map((text) => piece(text));
  assert.deepEqual(showPieces(bytes.slice(0, 3)).map(({ text, kind }) => `${kind} ${text}`), ['byte F0', 'byte 9F', 'byte 99']);
  const whole = showPieces(bytes);
  assert.equal(whole[3].text, '🙂');
  assert.equal(whole[3].detail, 'F0 9F 99 82');
  assert.equal(showPieces([piece('<0x82>'), piece('<0x41>')]).map(({ text }) => text).join(' '), '82 A');
});

test('the replacement character is never shown', () => {
  const texts = [piece('�'), piece('a�b'), piece('▁�')].map((token) => showPiece(token).text);
  assert.ok(texts.every((text) => !text.includes('\uFFFD')), texts.join(' '));
});

test('byte escapes that spell a control character stay escaped', () => {
  assert.equal(showPieces([piece('<0xE2>'), piece('<0x80>'), piece('<0xAE>')])[2].text, 'U+202E');
});

test('a combining mark alone gets something to stand on', () => {
  assert.equal(showPiece(piece('\u0301')).text, '\u25CC\u0301');
});

test('pieces join to text without the signs', () => {
  assert.equal(joinPieces([piece('[BOS]', { special: true }), piece('Le', { space: true }), piece('chat', { space: true }), piece('.', { space: false })]), 'Le chat.');
});

test('a piece without a space before it goes on with a word, unless it is Chinese', () => {
  const continues = (text, more) => continuesWord(showPiece(piece(text, more)));
  assert.deepEqual(['##ing', '▁chat', '学', '。', 'ing'].map((text) => continues(text, {})), [true, false, false, false, true]);
  assert.equal(continues('学', { space: true }), false);
});

test('shortening counts characters, not code units', () => {
  assert.equal(shorten('🙂🙂🙂🙂', 3), '🙂🙂…');
  assert.equal(shorten('abc', 3), 'abc');
});
