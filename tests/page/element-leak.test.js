/** Which test of a leak is made when much is wished, and what its result is of. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LeakTest } from '../../www/element-leak.js';

const token = (piece, position) => ({ id: position + 10, piece, position, state: 'source', special: false });
const frame = (length) => /** @type {any} */ ({ architecture: 'encoder', sourceLength: length, read: Array.from({ length }, (_, at) => token('abcdefgh'[at], at)), blocks: [] });

/** A machine that counts its tests and answers when it is told to. */
function slow() {
  const asked = [];
  const machine = { leak: (of, spot, isWanted) => new Promise((resolve) => { asked.push({ rows: of.read.length, spot, isWanted, answer: () => resolve({ rows: of.read.length }) }); }) };
  return { asked, machine: /** @type {any} */ (machine) };
}
const rest = (milliseconds = 0) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

test('of many wishes one is under way, and the last one follows', async () => {
  const { asked, machine } = slow();
  const leak = new LeakTest(() => {});
  leak.follow(frame(2), machine, 'a');
  await rest();
  assert.equal(asked.length, 0, 'nobody asked for it');
  leak.show(true);
  for (const rows of [2, 3, 4, 5]) leak.follow(frame(rows), machine, 'a');
  await rest();
  assert.deepEqual(asked.map(({ rows }) => rows), [2]);
  assert.equal(asked[0].isWanted(), false, 'it may stop between two passes');
  asked[0].answer();
  await rest();
  assert.equal(leak.result, null, 'what is wanted no more is not shown');
  assert.deepEqual(asked.map(({ rows }) => rows), [2, 5]);
  asked[1].answer();
  await rest();
  assert.deepEqual([leak.result, leak.of, leak.waiting], [{ rows: 5 }, 'a', false]);
  leak.follow(frame(5), machine, 'a');
  await rest();
  assert.equal(asked.length, 2, 'nothing has changed');
  leak.follow(frame(5), machine, 'b');
  assert.equal(leak.waiting, true, 'another run');
});

test('turned off while it is under way it shows nothing, and begins anew when it is turned on', async () => {
  const { asked, machine } = slow();
  const leak = new LeakTest(() => {});
  leak.show(true);
  leak.follow(frame(3), machine, 'a');
  leak.show(false);
  asked[0].answer();
  await rest();
  assert.equal(leak.result, null);
  leak.show(true);
  leak.follow(frame(3), machine, 'a');
  await rest();
  asked[1].answer();
  await rest();
  assert.deepEqual(leak.result, { rows: 3 });
});

test('a test that fails says so, and the next is made all the same', async () => {
  const leak = new LeakTest(() => {});
  leak.show(true);
  const broken = /** @type {any} */ ({ leak: () => Promise.reject(new Error('no room')) });
  leak.follow(frame(3), broken, 'a');
  await rest();
  assert.equal(leak.error?.message, 'no room');
  const { asked, machine } = slow();
  leak.choose({ stack: 'encoder', position: 1 });
  leak.follow(frame(3), machine, 'a');
  await rest();
  asked[0].answer();
  await rest();
  assert.deepEqual([leak.error, leak.result], [null, { rows: 3 }]);
});

test('what is chosen again is told again without a test', async () => {
  const { asked, machine } = slow();
  const leak = new LeakTest(() => {});
  leak.show(true);
  leak.choose({ stack: 'encoder', position: 1 });
  leak.follow(frame(3), machine, 'a');
  asked[0].answer();
  await rest();
  leak.choose({ stack: 'encoder', position: 1 });
  assert.equal(leak.waiting, true);
  leak.follow(frame(3), machine, 'a');
  assert.equal(leak.waiting, false);
  assert.equal(asked.length, 1);
});
