/** The matrix as a table: how many heads of it are shown. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headsIn } from '../../www/views/table.js';

const frame = (sizes, heads, head) => /** @type {any} */ ({ blocks: sizes.map(([rows, keys]) => ({ rows, keys })), heads, view: { head } });

test('of all heads so many have a table as a page can draw, and of a long text the first one alone', () => {
  assert.deepEqual(headsIn(frame([[20, 20]], 4, 'all')), [0, 1, 2, 3]);
  assert.deepEqual(headsIn(frame([[96, 96]], 4, 'all')), [0]);
  assert.deepEqual(headsIn(frame([[50, 50], [20, 50], [20, 20]], 4, 'all')), [0, 1]);
  assert.deepEqual(headsIn(frame([[400, 400]], 12, 'all')), [0]);
  // One that was chosen is shown whatever its size.
  assert.deepEqual(headsIn(frame([[400, 400]], 12, 7)), [7]);
  assert.deepEqual(headsIn(frame([[0, 0]], 0, 'all')), [0]);
});
