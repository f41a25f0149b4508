import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';
import en from '../../www/i18n/en.js';
import { Losses, MOST_LOSSES, WITHIN_MILLISECONDS } from '../../www/losses.js';

test('three losses within a minute are too many; the same loss counts once', () => {
  let now = 0;
  const losses = new Losses(() => now);
  assert.equal(MOST_LOSSES, 3);
  for (const loss of ['a', 'a', 'b', 'a']) losses.note(loss);
  assert.equal(losses.tooMany, false);
  now = WITHIN_MILLISECONDS;
  losses.note('c');
  assert.equal(losses.tooMany, true, 'the first is just a minute old');
  now += 1;
  assert.equal(losses.tooMany, false, 'and then forgotten');
  losses.note('d');
  assert.equal(losses.tooMany, false);
  losses.note('e');
  assert.equal(losses.tooMany, true);
});

test('the page has a sentence for every cause that the engine reports', async () => {
  const source = await readFile(new URL('../../src/device.rs', import.meta.url), 'utf8');
  const causes = /pub enum Cause \{([^}]*)\}/.exec(source)[1].match(/^ {4}[A-Z]\w+,$/gm)
    .map((line) => line.trim().slice(0, -1).replace(/(?!^)[A-Z]/g, '-$&').toLowerCase());
  assert.ok(causes.length > 8);
  for (const cause of causes) assert.ok(en[`device.${cause}`], cause);
  // In a few words in the bar as well; of a GPU its name says it.
  for (const cause of causes.filter((one) => !['hardware', 'software'].includes(one))) assert.ok(en[`badge.cpu.${cause}`], cause);
});
