/** What went wrong, in the page's words: its own sentence, else that of the kind with the engine's line. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';
import { EngineError, loadEngine } from '../../www/engine.js';
import { translator } from '../../www/i18n/index.js';
import { checkTrace } from '../../www/trace.js';
import { sayError } from '../../www/views/status.js';
import { startHub } from '../browser/hub.js';

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

test('what loadEngine cannot find or follow is an engine\'s error, with what was expected and what came', async () => {
  const hub = await startHub({ 'owner/closed': { closed: true }, 'owner/empty': { without: ['model.safetensors'] }, 'owner/long': { told: -10 } });
  const gone = await startHub({});
  await gone.close();
  const failure = async (source, { url } = hub) => {
    Object.assign(globalThis, { document: Object.assign(new EventTarget(), { baseURI: 'http://127.0.0.1/' }), location: { hostname: '127.0.0.1', search: `?hub=${url}` } });
    return loadEngine(source).then(() => assert.fail('it did not fail'), (failed) => failed);
  };
  try {
    for (const [source, kind, trouble, what, got] of [
      ['hub:owner/absent', 'download', 'token', 'config.json', '401'], ['hub:owner/closed', 'download', 'forbidden', 'config.json', '403'],
      ['hub:owner/empty', 'download', 'missing', /^model\.safetensors, /, '404'], ['hub:owner/long', 'download', 'length', 'model.safetensors', / bytes$/],
      ['http://other/x/', 'input', 'scheme', 'source', 'http://other/x/'], ['hub:a', 'input', 'address', 'source', 'hub:a'],
      ['http://', 'input', undefined, 'source', 'http://'], ['', 'input', undefined, 'source', 'string'],
    ]) {
      const failed = await failure(source);
      assert.ok(failed instanceof EngineError, `${source}: ${failed}`);
      const fits = (told, wanted) => (wanted instanceof RegExp ? assert.match(told, wanted) : assert.equal(told, wanted));
      assert.deepEqual([failed.name, failed.kind, failed.trouble], ['EngineError', kind, trouble], source);
      fits(failed.what, what);
      fits(failed.got, got);
      assert.ok(failed.expected && failed.expected !== failed.got, source);
      if (trouble) for (const t of LANGUAGES) assert.equal(sayError(failed, t), t(`open.error.${trouble}`, failed.values));
    }
    const silent = await failure('hub:owner/name', gone);
    assert.deepEqual([silent instanceof EngineError, silent.kind, silent.trouble, silent.got], [true, 'download', 'silent', 'no answer']);
  } finally {
    await hub.close();
  }
});
