/** What went wrong, in the page's words: its own sentence, else that of the kind with the engine's line. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';
import { translator } from '../../www/i18n/index.js';
import { checkTrace } from '../../www/trace.js';
import { sayError } from '../../www/views/status.js';

const LANGUAGES = ['en', 'zh'].map(translator);
const line = '`n_head`: expected 1 to 64, got 0';
const error = (more) => Object.assign(new Error(line), more);

test('every kind that the engine has is said in every language, with its line', async () => {
  const source = await readFile(new URL('../../src/error.rs', import.meta.url), 'utf8');
  const kinds = [...source.matchAll(/Kind::\w+ => "(\w+)"/g)].map(([, kind]) => kind);
  assert.equal(kinds.length, 8);
  for (const kind of [...kinds, 'trace']) {
    for (const t of LANGUAGES) {
      const said = sayError(error({ kind }), t);
      assert.ok(said.endsWith(line), said);
      assert.notEqual(said, line, kind);
    }
  }
  assert.match(sayError(error({ kind: 'memory' }), LANGUAGES[1]), /^内存不足/);
});

test('what has a sentence of its own is said by it alone, and what has neither as it came', () => {
  const [t] = LANGUAGES;
  assert.equal(sayError(error({ kind: 'input', trouble: 'refused', values: { file: 'x', status: 500 } }), t), t('open.error.refused', { file: 'x', status: 500 }));
  assert.equal(sayError(error({}), t), line);
  assert.equal(sayError(new TypeError('x is undefined'), t), 'x is undefined');
});

test('what was expected is told once', () => {
  const [t] = LANGUAGES;
  const told = sayError(Object.assign(new Error('unknown device `x`'), { expected: 'cpu', got: 'tpu' }), t);
  assert.equal(told, 'unknown device `x` (expected cpu, got tpu)');
  assert.equal(sayError(error({ expected: '1 to 64', got: '0' }), t), line);
});

test('a stored run that cannot be shown is one of these kinds', () => {
  assert.throws(() => checkTrace({ steps: 3 }), { kind: 'trace' });
  const heads = (/** @type {number} */ n) => ({ tokens: [{ id: 1, piece: 'a' }], forward: { heads: { replaced: Array.from({ length: n }, () => 1) } } });
  checkTrace(heads(1));
  assert.throws(() => checkTrace(heads(2)), { kind: 'trace', message: /replaced/ });
});
