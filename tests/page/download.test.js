import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { bodyOf, downloadFile, downloadFolder } from '../../www/download.js';
import { isWanted, shardsOf, wantedOf } from '../../www/files.js';
import { modelOf } from '../../www/folder.js';
import { hubOf, isForeign, pinned, placeOf } from '../../www/hub.js';
import { COMMIT, startHub } from '../browser/hub.js';

const HUB = 'https://huggingface.co/';
const golden = (path) => readFileSync(new URL(`../golden/families/${path}`, import.meta.url));
const soon = async () => {};

/** A hub with one model, and what it was asked for. */
async function withHub(manner, work) {
  const hub = await startHub({ 'owner/name': manner });
  try {
    return await work(hub, placeOf('hub:owner/name', hub.url));
  } finally {
    await hub.close();
  }
}

/** What a download that must fail says. */
async function failure(promise) {
  return promise.then(() => assert.fail('it did not fail'), (error) => error);
}

test('a name on the hub becomes the address of its files', () => {
  assert.equal(placeOf(' hub:owner/name ', HUB).base, `${HUB}owner/name/resolve/main/`);
  assert.equal(placeOf('hub:owner/na.me-1_x@v1.0', HUB).base, `${HUB}owner/na.me-1_x/resolve/v1.0/`);
  assert.equal(placeOf('hub:o/n@refs/pr/1', HUB).base, `${HUB}o/n/resolve/refs%2Fpr%2F1/`);
  assert.equal(placeOf('hub:o/n@main', HUB).source, 'hub:o/n');
  assert.equal(pinned(placeOf('hub:o/n', HUB), COMMIT).base, `${HUB}o/n/resolve/${COMMIT}/`);
  assert.equal(pinned(placeOf('hub:o/n', HUB), 'not a commit').base, `${HUB}o/n/resolve/main/`);
  assert.deepEqual(placeOf('https://host/a/b', HUB), { source: 'https://host/a/b/', base: 'https://host/a/b/', hub: null });
});

test('what is no address is refused with a sentence', () => {
  for (const wrong of ['', 'name', 'hub:', 'hub:name', 'hub:a/b/c', 'hub:../b', 'hub:a/..', 'hub:a/b@', 'hub:a/b@../x', 'hub:a/b@x@y', 'hub:a/b?x', 'hub:a/b#x', 'hub:a/-b',
    'https://user:word@host/', 'https://host/?token=x', 'file:///etc/', 'javascript:alert(1)']) {
    assert.throws(() => placeOf(wrong, HUB), { kind: 'input', trouble: 'address', got: wrong }, wrong);
  }
  assert.throws(() => placeOf('http://host/a/', HUB), { trouble: 'scheme' });
});

test('only a page on this machine takes another hub, and only one on this machine', () => {
  const local = 'http://127.0.0.1:8443';
  assert.equal(hubOf({ hostname: '127.0.0.1', search: `?hub=${local}` }), `${local}/`);
  assert.equal(hubOf({ hostname: 'localhost', search: `?hub=${local}/x?y` }), `${local}/`);
  for (const search of ['', '?hub=', '?hub=x', '?hub=https://evil.example/', '?hub=https://127.0.0.1.evil.example/']) {
    assert.equal(hubOf({ hostname: '127.0.0.1', search }), HUB, search);
  }
  assert.equal(hubOf({ hostname: 'page.example', search: `?hub=${local}` }), HUB);
});

test('the page reads from others, its worker from its own host', () => {
  const here = 'https://page.example/';
  for (const source of ['hub:a/b', 'https://other.example/m/', 'http://other.example/m/']) assert.equal(isForeign(source, here), true, source);
  for (const source of ['packed:/models/x', 'blob:https://page.example/1', 'http://']) assert.equal(isForeign(source, here), false, source);
});

test('a folder comes whole: pinned to its commit, across redirects, with the bytes counted', async () => {
  await withHub({ family: 'gpt2' }, async (hub, place) => {
    const told = [];
    const { files, commit } = await downloadFolder(place, { onProgress: (progress) => told.push(progress) });
    assert.equal(commit, COMMIT);
    assert.deepEqual(files.map(({ name }) => name), ['config.json', 'tokenizer.json', 'model.safetensors']);
    for (const file of files) assert.deepEqual(Buffer.from(await file.arrayBuffer()), golden(`gpt2/${file.name}`), file.name);
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    assert.deepEqual({ loaded: told.at(-1).loaded, total: told.at(-1).total }, { loaded: bytes, total: bytes });
    assert.ok(hub.asked.slice(1).every(({ host, path }) => host === 'store' || path.startsWith(`/owner/name/resolve/${COMMIT}/`)), 'one commit');
    assert.ok(hub.asked.some(({ host }) => host === 'store'), 'the weights are at the store');
  });
});

test('where there are no safetensors, what torch.save wrote comes: one file or shards', async () => {
  for (const [family, torch, names] of [['marian', 'marian-older', ['pytorch_model.bin']], ['gpt2-switches', 'gpt2-shards', ['pytorch_model.bin.index.json', ...[1, 2, 3].map((n) => `pytorch_model-0000${n}-of-00003.bin`)]]]) {
    await withHub({ family, torch }, async (hub, place) => {
      const { files } = await downloadFolder(place);
      assert.deepEqual(files.map(({ name }) => name), ['config.json', 'tokenizer.json', ...names]);
      for (const file of files.slice(2)) assert.deepEqual(Buffer.from(await file.arrayBuffer()), golden(`../torch/${torch}/${file.name}`), file.name);
      assert.ok(hub.asked.some(({ host }) => host === 'store'), 'the weights are at the store');
    });
  }
});

test('shards come as their index names them, and the whole is known before they begin', async () => {
  await withHub({ family: 'gpt2-switches' }, async (hub, place) => {
    const told = [];
    const { files } = await downloadFolder(place, { onProgress: (progress) => told.push(progress) });
    assert.deepEqual(files.map(({ name }) => name), ['config.json', 'tokenizer.json', 'model.safetensors.index.json', ...[1, 2, 3].map((n) => `model-0000${n}-of-00003.safetensors`)]);
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    assert.deepEqual({ loaded: told.at(-1).loaded, total: told.at(-1).total }, { loaded: bytes, total: bytes });
    const first = told.find(({ file }) => file === 'model-00001-of-00003.safetensors');
    assert.ok(first.total > 0.9 * bytes && first.total <= bytes, `${first.total} of ${bytes}`);
    assert.ok(told.every(({ loaded, total }) => total === 0 || loaded <= total));
  });
});

test('where there is no tokenizer.json, the files before it are asked for', async () => {
  await withHub({ without: ['tokenizer.json'] }, async (hub, place) => {
    await downloadFolder(place);
    const names = hub.asked.map(({ path }) => path.split('/').at(-1));
    for (const name of ['generation_config.json', 'tokenizer_config.json', 'added_tokens.json', 'special_tokens_map.json', 'vocab.txt', 'vocab.json', 'merges.txt', 'spiece.model', 'sentencepiece.bpe.model', 'tokenizer.model', 'ice_text.model', 'cog-pretrain.model', 'source.spm']) assert.ok(names.includes(name), name);
  });
});

test('a token goes to the hub and not on to its store', async () => {
  await withHub({ token: 'secret' }, async (hub, place) => {
    assert.equal((await failure(downloadFolder(place))).trouble, 'token');
    const { files } = await downloadFolder(place, { token: 'secret' });
    assert.equal(files.length, 3);
    assert.ok(hub.asked.filter(({ host }) => host === 'store').every(({ authorization }) => authorization === ''));
  });
  await withHub({}, async (hub) => {
    await downloadFolder({ source: hub.url, base: `${hub.url}owner/name/resolve/main/`, hub: null }, { token: 'secret' });
    assert.ok(hub.asked.every(({ authorization }) => authorization === ''), 'to no other address at all');
  });
});

for (const mute of [false, true]) {
  test(`what breaks off goes on where it stopped${mute ? ', though the store tells pages nothing' : ''}`, async () => {
    await withHub({ breaks: 2, mute }, async (hub, place) => {
      const { files } = await downloadFolder(place, { wait: soon });
      assert.deepEqual(Buffer.from(await files[2].arrayBuffer()), golden('gpt2/model.safetensors'));
      const size = files[2].size;
      const asked = hub.asked.filter(({ host }) => host === 'store').map(({ range }) => Number(/\d+/.exec(range)[0]));
      assert.deepEqual(asked, [0, Math.ceil(size / 2), size - Math.floor(Math.floor(size / 2) / 2)]);
    });
  });
}

test('what is another file after a break is read anew', async () => {
  await withHub({ breaks: 1, changes: true }, async (hub, place) => {
    const { files } = await downloadFolder(place, { wait: soon });
    assert.deepEqual(Buffer.from(await files[2].arrayBuffer()), golden('gpt2/model.safetensors'));
    assert.equal(hub.asked.filter(({ host }) => host === 'store').at(-1).range, 'bytes=0-');
  });
});

test('what never comes whole is told, and the next try goes on', async () => {
  const manner = { told: 10 };
  await withHub(manner, async (hub, place) => {
    const error = await failure(downloadFolder(place, { wait: soon }));
    assert.equal(error.trouble, 'broken');
    assert.equal(error.values.expected - error.values.got, 10);
    const before = hub.asked.length;
    await failure(downloadFolder(place, { wait: soon }));
    const again = hub.asked.slice(before);
    assert.ok(again.every(({ path, range }) => /(?:index|config)\.json$/.test(path) || range === `bytes=${error.values.got}-`), 'only what is missing');
  });
});

test('where nothing is kept, too, the next try asks for the config anew, and whether the rest is still the same', async () => {
  /** Headers that a host does not let other pages read. */
  const hidden = (...details) => fetch(...details).then((response) => new Response(response.body, { status: response.status, headers: { 'content-length': response.headers.get('content-length') ?? '' } }));
  const tokenizer = `bytes=${golden('gpt2/tokenizer.json').length - 1}-`;
  const other = { family: 'bert' };
  const moved = { family: 'bert', commit: COMMIT.replace(/^0/, 'f') };
  /** @type {Array<[string, 'plain'|'hub', object, { family?: string, commit?: string }, Array<string|undefined>|null]>} */
  const cases = [
    ['a folder', 'plain', {}, {}, [tokenizer, 'bytes=1000-']],
    ['a folder that is another', 'plain', {}, other, null],
    ['a folder without tags', 'plain', { fetch: hidden }, {}, [tokenizer, 'bytes=1000-']],
    ['another one without tags', 'plain', { fetch: hidden }, other, ['bytes=0-', 'bytes=0-']],
    ['a commit of the hub', 'hub', {}, {}, [undefined, 'bytes=1000-']],
    ['another commit', 'hub', {}, moved, null],
    ['another commit of the same files', 'hub', {}, { commit: moved.commit }, [tokenizer, 'bytes=1000-']],
  ];
  await Promise.all(cases.map(async ([name, at, means, change, ranges]) => {
    const manner = { family: 'gpt2', stops: 1000 };
    await withHub(manner, async (hub, place) => {
      const from = at === 'hub' ? place : { source: hub.url, base: `${hub.url}owner/name/resolve/main/`, hub: null };
      assert.equal((await failure(downloadFolder(from, { wait: soon, ...means }))).trouble, 'broken', name);
      Object.assign(manner, change, { stops: undefined });
      hub.asked.length = 0;
      const { files, commit } = await downloadFolder(from, { wait: soon, ...means });
      assert.deepEqual(files.map((file) => file.name), ['config.json', 'tokenizer.json', 'model.safetensors'], name);
      for (const file of files) assert.deepEqual(Buffer.from(await file.arrayBuffer()), golden(`${manner.family}/${file.name}`), `${name}: ${file.name}`);
      if (at === 'hub') assert.equal(commit, change.commit ?? COMMIT);
      const range = (file) => hub.asked.find(({ path }) => path.endsWith(`/${file}`))?.range;
      assert.equal(range('config.json'), 'bytes=0-', name);
      if (ranges) assert.deepEqual([range('tokenizer.json'), range('model.safetensors')], ranges, name);
    });
  }));
});

test('each refusal has its own sentence', async () => {
  const cases = [
    [{ closed: true }, 'forbidden', /403.*terms/], [{ without: ['config.json'] }, 'missing', /config\.json.*404/],
    [{ without: ['model.safetensors'] }, 'missing', /model\.safetensors, model\.safetensors\.index\.json, pytorch_model\.bin, pytorch_model\.bin\.index\.json.*404/], [{ token: 'x' }, 'token', /401.*token/],
    [{ told: -10 }, 'length', /wrong length: expected \d+ bytes, got \d+/],
  ];
  for (const [manner, trouble, sentence] of cases) {
    await withHub(manner, async (hub, place) => {
      const error = await failure(downloadFolder(place, { wait: soon }));
      assert.equal(error.trouble, trouble);
      assert.match(error.message, sentence);
    });
  }
  const gone = await startHub({});
  await gone.close();
  assert.equal((await failure(downloadFolder(placeOf('hub:owner/name', gone.url)))).trouble, 'silent');
});

test('a download that is cancelled ends at once and leaves nothing', async () => {
  await withHub({ slow: true }, async (hub, place) => {
    const abort = new AbortController();
    const onProgress = ({ file }) => { if (file === 'model.safetensors') abort.abort(); };
    assert.equal((await failure(downloadFolder(place, { signal: abort.signal, onProgress }))).name, 'AbortError');
    const before = hub.asked.length;
    const again = new AbortController();
    const second = downloadFolder(place, { signal: again.signal, onProgress: ({ file }) => { if (file === 'model.safetensors') again.abort(); } });
    await failure(second);
    assert.deepEqual(hub.asked.slice(before).map(({ range }) => range).filter((range) => range !== 'bytes=0-'), [], 'it began anew');
  });
});

test('a retry stops waiting when it is cancelled', async () => {
  await withHub({ breaks: 1 }, async (hub, place) => {
    const abort = new AbortController();
    const wait = (milliseconds, signal) => new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
      abort.abort();
    });
    assert.equal((await failure(downloadFile(`${place.base}`, 'model.safetensors', { signal: abort.signal, wait }))).name, 'AbortError');
  });
});

test('a retry that was waited for listens to its signal no longer', async () => {
  await withHub({ breaks: 1 }, async (hub, place) => {
    const { signal } = new AbortController();
    const listeners = () => getEventListeners(signal, 'abort').length;
    const heard = [];
    // The fetch of Node listens by itself, and longer.
    const ask = (url, { signal: _, ...means }) => { heard.push(listeners()); return fetch(url, means); };
    await downloadFile(place.base, 'model.safetensors', { fetch: /** @type {typeof fetch} */ (ask), signal });
    assert.deepEqual([...heard, listeners()], [0, 0, 0]);
  });
});

test('a body says where it begins, how long its file is and which one', () => {
  const answer = (status, headers) => ({ status, headers: new Headers(headers) });
  assert.deepEqual(bodyOf(answer(200, { 'content-length': '9', etag: '"a"' }), 4), { from: 0, length: 9, tag: '"a"' });
  assert.deepEqual(bodyOf(answer(206, { 'content-length': '5', 'content-range': 'bytes 4-8/9' }), 4), { from: 4, length: 9, tag: null });
  assert.deepEqual(bodyOf(answer(206, { 'content-length': '5' }), 4), { from: 4, length: 9, tag: null });
  assert.deepEqual(bodyOf(answer(206, { 'content-range': 'bytes 4-8/*' }), 4), { from: 4, length: 0, tag: null });
  assert.deepEqual(bodyOf(answer(200, { 'content-length': '9', 'content-encoding': 'gzip' }), 0), { from: 0, length: 0, tag: null });
});

test('only what the engine takes is read', () => {
  for (const name of ['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json', 'added_tokens.json', 'special_tokens_map.json', 'vocab.txt', 'vocab.json', 'merges.txt', 'spiece.model', 'sentencepiece.bpe.model', 'tokenizer.model', 'ice_text.model', 'cog-pretrain.model', 'source.spm', 'model.safetensors', 'model-00001-of-00002.safetensors', 'model.safetensors.index.json', 'pytorch_model.bin', 'pytorch_model-00001-of-00002.bin', 'pytorch_model.bin.index.json']) assert.ok(isWanted(name), name);
  for (const name of ['training_args.bin', 'optimizer.bin', 'pytorch_model.bin.txt', 'README.md', 'golden.json', 'config.json.txt', 'a/config.json', '.safetensors', 'passwords.txt']) assert.ok(!isWanted(name), name);
  assert.deepEqual(shardsOf('{"metadata":{"total_size":8},"weight_map":{"a":"x.safetensors","b":"x.safetensors","c":"../y.safetensors","d":"z.bin","e":7}}'), { names: ['x.safetensors'], bytes: 8 });
  assert.deepEqual(shardsOf('{"weight_map":{"a":"pytorch_model-00001-of-00002.bin","b":"../pytorch_model-2.bin","c":"training_args.bin"}}'), { names: ['pytorch_model-00001-of-00002.bin'], bytes: 0 });
  const chosen = (...names) => wantedOf(names.map((name) => ({ name }))).map(({ name }) => name);
  assert.deepEqual(chosen('config.json', 'x.txt', 'pytorch_model.bin'), ['config.json', 'pytorch_model.bin']);
  assert.deepEqual(chosen('pytorch_model.bin', 'pytorch_model.bin.index.json', 'model.safetensors'), ['model.safetensors'], 'safetensors where both are there');
  for (const wrong of ['', '[]', '{"weight_map":null}', 'null']) assert.deepEqual(shardsOf(wrong), { names: [], bytes: 0 });
});

test('of what was chosen, the outermost folder with a config is the model', () => {
  const found = (...paths) => paths.map((path) => ({ path, file: { name: path.split('/').at(-1) } }));
  const names = (model) => model.files.map(({ name }) => name);
  const folder = modelOf(found('gpt2/config.json', 'gpt2/model.safetensors', 'gpt2/README.md', 'gpt2/onnx/config.json', 'gpt2/onnx/vocab.json'));
  assert.equal(folder.name, 'gpt2');
  assert.deepEqual(names(folder), ['config.json', 'model.safetensors', 'README.md']);
  assert.deepEqual(names(modelOf(found('config.json', 'model.safetensors'))), ['config.json', 'model.safetensors']);
  assert.deepEqual(names(modelOf(found('a/b/config.json', 'a/b/vocab.txt', 'a/vocab.txt'))), ['config.json', 'vocab.txt']);
  assert.deepEqual(modelOf(found('model.safetensors')).files, []);
});
