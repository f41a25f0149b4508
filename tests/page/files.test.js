/** A model folder's files as the worker reads them: from a server while they arrive, and from a person's disk. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import test from 'node:test';
import { readFiles, readFolder } from '../../www/files.js';

const bytes = (length, first = 0) => Uint8Array.from({ length }, (_, at) => (first + at * 7) % 251);
const WEIGHTS = bytes(300_000);
const CONFIG = Buffer.from('{"model_type": "gpt2"}');
const TOKENIZER = Buffer.from('{}');
const SIZES = { 'config.json': CONFIG.length, 'tokenizer.json': TOKENIZER.length, 'model.safetensors': WEIGHTS.length };

/** A server of these files, by name: bytes, or what answers in their stead. */
async function withServer(files, work) {
  const server = createServer((request, response) => {
    const file = files[request.url.slice('/model/'.length)];
    if (file === undefined) response.writeHead(404).end();
    else if (typeof file === 'function') file(response);
    else response.end(file);
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', () => resolve(undefined)); });
  try {
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
    return await work(`http://127.0.0.1:${port}/model`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const failure = (promise) => promise.then(() => assert.fail('it did not fail'), (error) => error);
const byName = (files, name) => files.find((file) => file.name === name);

test('what has arrived of a file is read before the rest is there', async () => {
  let goOn = () => {};
  const half = (response) => {
    response.writeHead(200, { 'content-length': WEIGHTS.length });
    response.write(WEIGHTS.subarray(0, 200_000));
    goOn = () => response.end(WEIGHTS.subarray(200_000));
  };
  await withServer({ 'config.json': CONFIG, 'tokenizer.json': TOKENIZER, 'model.safetensors': half }, async (url) => {
    const [told, begun] = [[], []];
    const files = await readFolder(url, { sizes: SIZES, onProgress: (now) => told.push(now), onFile: (file) => begun.push(file.name) });
    assert.deepEqual(begun.sort(), Object.keys(SIZES).sort());
    const weights = byName(files, 'model.safetensors');
    assert.equal(weights.size, WEIGHTS.length);
    assert.deepEqual(await weights.read(1000, 150_000), WEIGHTS.subarray(1000, 150_000));
    let late = false;
    const rest = weights.read(190_000, 300_000).then((part) => { late = true; return part; });
    await new Promise((resolve) => { setTimeout(resolve, 30); });
    assert.equal(late, false);
    goOn();
    assert.deepEqual(await rest, WEIGHTS.subarray(190_000));
    await Promise.all(files.map(({ whole }) => whole));
    assert.deepEqual(await weights.read(0, 8), WEIGHTS.subarray(0, 8), 'and read again');
    const total = Object.values(SIZES).reduce((sum, size) => sum + size, 0);
    assert.deepEqual([told.at(-1).loaded, told.at(-1).total], [total, total]);
  });
});

test('a download that breaks off, or brings another length, fails those who read and says so', async () => {
  const broken = (response) => {
    response.writeHead(200, { 'content-length': WEIGHTS.length });
    response.write(WEIGHTS.subarray(0, 1000), () => response.destroy());
  };
  const short = WEIGHTS.subarray(0, 299_999);
  const long = bytes(300_001);
  for (const [weights, says] of /** @type {Array<[any, RegExp]>} */ ([
    [broken, /^the download of `model\.safetensors` broke off after \d+ bytes$/],
    [short, /^`model\.safetensors` is not whole: expected 300000 bytes, got 299999 bytes$/],
    [long, /^`model\.safetensors` is not whole: expected 300000 bytes, got 300001 bytes$/],
  ])) {
    await withServer({ 'config.json': CONFIG, 'tokenizer.json': TOKENIZER, 'model.safetensors': weights }, async (url) => {
      const file = byName(await readFolder(url, { sizes: SIZES }), 'model.safetensors');
      const { message } = await failure(file.whole);
      assert.match(message, says);
      assert.equal(file.failure.message, message);
      assert.equal((await failure(file.read(299_000, 300_000))).message, message);
    });
  }
});

test('a folder of which nobody knows the sizes, of one file or of shards', async () => {
  const index = JSON.stringify({ weight_map: { a: 'model-1.safetensors', b: 'model-2.safetensors', c: '../x.safetensors' } });
  const chunked = (response) => { response.write(WEIGHTS.subarray(0, 70_000)); response.end(WEIGHTS.subarray(70_000)); };
  const base = { 'config.json': CONFIG, 'tokenizer.json': TOKENIZER };
  await withServer({ ...base, 'model.safetensors': chunked }, async (url) => {
    const file = byName(await readFolder(url), 'model.safetensors');
    assert.equal(file.size, WEIGHTS.length);
    assert.deepEqual(await file.read(0, file.size), WEIGHTS);
  });
  const shards = { 'model.safetensors.index.json': index, 'model-1.safetensors': WEIGHTS, 'model-2.safetensors': bytes(50) };
  await withServer({ ...base, ...shards }, async (url) => {
    const files = await readFolder(url);
    assert.deepEqual(files.map(({ name }) => name), ['config.json', 'tokenizer.json', ...Object.keys(shards)]);
    assert.deepEqual(await files.at(-1).read(3, 50), bytes(50).subarray(3));
  });
  await withServer({ ...base, 'pytorch_model.bin': WEIGHTS }, async (url) => {
    assert.deepEqual((await readFolder(url)).map(({ name }) => name), ['config.json', 'tokenizer.json', 'pytorch_model.bin']);
  });
  const older = { 'pytorch_model.bin.index.json': index.replaceAll('model-', 'pytorch_model-').replaceAll('safetensors', 'bin'), 'pytorch_model-1.bin': WEIGHTS, 'pytorch_model-2.bin': bytes(50) };
  await withServer({ ...base, ...older }, async (url) => {
    assert.deepEqual((await readFolder(url)).map(({ name }) => name), ['config.json', 'tokenizer.json', ...Object.keys(older)]);
  });
  for (const wrong of ['not JSON', '{}', '{"weight_map": {"a": "../x.safetensors"}}']) {
    await withServer({ ...base, 'model.safetensors.index.json': Buffer.from(wrong) }, async (url) => {
      const { trouble, values } = await failure(readFolder(url));
      assert.deepEqual([trouble, values.file], ['index', 'model.safetensors.index.json'], wrong);
    });
  }
  await withServer(base, async (url) => {
    assert.match((await failure(readFolder(url))).message, /none of model\.safetensors, model\.safetensors\.index\.json, pytorch_model\.bin, pytorch_model\.bin\.index\.json \(404\)/);
  });
});

test('a folder without a tokenizer.json is asked for the files before it', async () => {
  const base = { 'config.json': CONFIG, 'model.safetensors': WEIGHTS };
  const pairs = { 'tokenizer_config.json': '{}', 'added_tokens.json': '{}', 'vocab.json': '{}', 'merges.txt': 'a b' };
  for (const older of [pairs, { 'vocab.txt': 'a' }, { 'sentencepiece.bpe.model': 'x' }, { 'cog-pretrain.model': 'x' }]) {
    await withServer({ ...base, ...older }, async (url) => {
      const names = (await readFolder(url)).map(({ name }) => name);
      assert.deepEqual(names, ['config.json', ...Object.keys(older), 'model.safetensors']);
    });
  }
  // A server that fails is no server without a file.
  const fails = (response) => response.writeHead(500).end();
  await withServer({ ...base, 'tokenizer.json': fails, 'vocab.txt': 'a' }, async (url) => {
    assert.match((await failure(readFolder(url))).message, /`tokenizer\.json`: the server answered 500/);
  });
});

test('a file from a disk is read ahead, in parts, wherever it is asked for', async () => {
  const large = bytes(36_000_000);
  const file = new File([large], 'model.safetensors');
  let asked = 0;
  const { slice } = file;
  file.slice = (...range) => { asked += 1; return slice.apply(file, range); };
  const told = [];
  const abort = new AbortController();
  const [source, ...more] = readFiles([file, new File(['x'], 'notes.txt')], { onProgress: (now) => told.push(now), signal: abort.signal });
  assert.deepEqual(more, []);
  const same = async (start, end) => assert.equal(Buffer.compare(await source.read(start, end), large.subarray(start, end)), 0, `${start}`);
  for (let start = 0; start < large.length; start += 100_000) await same(start, start + 100_000);
  assert.equal(asked, 3);
  await same(5, 35_999_999);
  await same(3, 9);
  assert.deepEqual([told.at(-1).loaded, told.at(-1).total], [36_000_000, 36_000_000]);
  abort.abort();
  assert.equal((await failure(source.read(0, 1))).name, 'AbortError');
});

test('a file whose bytes are at hand is read as any other', async () => {
  const [source] = readFiles([{ name: 'model.safetensors', size: WEIGHTS.length, bytes: WEIGHTS }]);
  assert.equal(source.size, WEIGHTS.length);
  assert.deepEqual(await source.read(1000, 150_000), WEIGHTS.subarray(1000, 150_000));
  assert.deepEqual(await source.read(299_000, 300_000), WEIGHTS.subarray(299_000));
});
