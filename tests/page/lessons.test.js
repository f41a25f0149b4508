/** Lessons: whole in both languages, and their states are addresses that this page writes itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOther } from '../../www/page/lesson.js';
import { LESSONS } from '../../www/page/lessons.js';
import { readHash, writeHash } from '../../www/state.js';

test('every lesson is whole in both languages', () => {
  const parts = ['title', 'text', 'try', 'ask', 'answer'];
  for (const { id, en, zh } of LESSONS) {
    assert.equal(readHash(`lesson=${id}`).lesson, id);
    for (const words of [en, zh]) assert.deepEqual(Object.keys(words).filter((part) => words[part].trim() !== ''), parts, id);
    assert.match(zh.text, /\p{Script=Han}/u, id);
    assert.match(en.ask, /\?$/, id);
    assert.match(zh.ask, /？$/, id);
  }
  assert.equal(new Set(LESSONS.map(({ id }) => id)).size, LESSONS.length);
});

test('nothing of a state is dropped when it is read', () => {
  for (const { id, state } of LESSONS) {
    const fields = (text) => Object.fromEntries(new URLSearchParams(text.replace(/^#/, '')));
    assert.deepEqual(fields(writeHash(readHash(state))), fields(state), id);
  }
});

test('another sentence, other blanks, another quartet or a machine that is off is not what a lesson tells of', () => {
  for (const lesson of LESSONS) {
    const { text, blanks, family, on } = readHash(lesson.state);
    const shown = /** @type {any} */ ({ text, blanks, family, on });
    assert.equal(isOther(lesson, shown), false, lesson.id);
    assert.equal(isOther(lesson, { ...shown, on: ['encoder', 'causal', 'prefix', 'encoder-decoder'] }), false, 'others are welcome');
    assert.equal(isOther(lesson, { ...shown, family: '' }), false, 'not known yet');
    for (const other of [{ text: 'I am tired.' }, { family: 'zh-en' }, { on: [] }]) assert.equal(isOther(lesson, { ...shown, ...other }), true, `${lesson.id} ${JSON.stringify(other)}`);
    assert.equal(isOther(lesson, { ...shown, blanks: [2] }), Boolean(blanks?.length), lesson.id);
  }
});
