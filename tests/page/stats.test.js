import assert from 'node:assert/strict';
import { test } from 'node:test';
import { timeOf } from '../../www/views/stats.js';

test('a time says no more than its clock knows', () => {
  const said = [[0, '≈0'], [1, '1'], [7, '7'], [12, '12'], [0.2, '0.2'], [1.2000000029802322, '1.2'], [9.96, '10.0'], [10.4, '10'], [317.6, '318']];
  for (const [milliseconds, text] of said) assert.equal(timeOf(milliseconds), text);
});
