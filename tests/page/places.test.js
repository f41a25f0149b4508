/** What may stand in a matrix's place: an address may name it, and both dictionaries say what it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import en from '../../www/i18n/en.js';
import zh from '../../www/i18n/zh.js';
import { LOOKS } from '../../www/state.js';
import { PLACES } from '../../www/views/places.js';

test('every place is a look, and has its words', () => {
  assert.deepEqual(Object.keys(PLACES), LOOKS);
  for (const words of [en, zh]) {
    for (const name of LOOKS) for (const key of [`look.${name}`, `look.${name}.label`]) assert.ok(words[key], key);
  }
});
