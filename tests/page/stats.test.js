import assert from 'node:assert/strict';
import { test } from 'node:test';
import { translator } from '../../www/i18n/index.js';
import { draw, timeOf } from '../../www/views/stats.js';

test('a time says no more than its clock knows', () => {
  const said = [[0, '≈0'], [1, '1'], [7, '7'], [12, '12'], [0.2, '0.2'], [1.2000000029802322, '1.2'], [9.96, '10.0'], [10.4, '10'], [317.6, '318']];
  for (const [milliseconds, text] of said) assert.equal(timeOf(milliseconds), text);
});

test('of a stored run nothing is said that it does not tell', () => {
  const said = (/** @type {any} */ stats) => {
    const target = /** @type {any} */ ({ textContent: '', hasAttribute: () => false });
    draw(target, { stats, device: null, parameters: 0, view: { t: translator('en') } });
    return target.textContent;
  };
  assert.equal(said({ rows_computed: 0, milliseconds: 20 }), 'rows 0 · 20 ms');
  for (const rows of [undefined, null]) assert.equal(said({ rows_computed: rows, milliseconds: 20 }), '20 ms');
});
