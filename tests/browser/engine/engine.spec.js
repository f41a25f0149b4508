/**
 * The engine in a real browser, under the page's own policy, against the reference's numbers: on WebGPU in the one
 * project, on the CPU in the other.
 */
import { expect, test } from '@playwright/test';
import { SHIPPED, certain, distance, golden } from '../golden.js';
import { foreign } from '../watch.js';
import { onEnginePage } from './page.js';

/** The browser of each project and the device that it is there to test. */
const DEVICES = { webgpu: 'webgpu', 'no-webgpu': 'cpu' };
const GENERATING = SHIPPED.filter(({ architecture }) => architecture !== 'encoder').map(({ folder }) => folder);

const seen = onEnginePage();

const deviceHere = () => DEVICES[test.info().project.name];

/** Loads a model on this project's device and keeps it in the page as `window.engine`. */
function load(page, model, device = deviceHere()) {
  return page.evaluate(async ([source, device]) => {
    const progress = [];
    window.engine = await window.unmasked.loadEngine(source, { device, onProgress: (now) => progress.push(now) });
    return { device: window.engine.device, description: window.engine.describe(), progress };
  }, [`/models/${model}/`, device]);
}

const forward = (page, request) => page.evaluate((request) => window.engine.forward(request), request);

/** A whole run: its header and its steps. */
const generate = (page, request) => page.evaluate(async (request) => {
  const run = window.engine.generate(request);
  const header = await run.header;
  const steps = [];
  for await (const step of run) steps.push(step);
  return { header, steps };
}, request);

/** The error that a call in the page ends with; null where it ends well. */
const failure = (page, call, argument) => page.evaluate(async ([call, argument]) => {
  try {
    if (call === 'loadEngine') await window.unmasked.loadEngine(...argument);
    else if (call === 'generate') for await (const _ of window.engine.generate(argument));
    else await window.engine[call](argument);
    return null;
  } catch (error) {
    return { name: error.name, message: error.message, kind: error.kind, loss: error.loss, what: error.what, expected: error.expected, got: error.got };
  }
}, [call, argument]);

/** Holds the loaded model's logits and attention against the reference's. */
async function compare(page, model) {
  for (const [at, example] of golden(model).cases.entries()) {
    const request = {
      ids: example.ids, targetIds: example.target_ids, sourceLength: example.source_length,
      watch: { layers: 'all', heads: 'all', rows: 'all', what: ['attention', 'logits'] },
    };
    const { forward: got } = await forward(page, request);
    const logits = distance(got.logits, example.logits, `${model}, case ${at}: logits`);
    expect(logits.difference, `${model}, case ${at}: logits`).toBeLessThanOrEqual(1e-4 * logits.largest);
    for (const [site, expected] of Object.entries(example.attention)) {
      const where = `${model}, case ${at}: attention of the ${site}`;
      expect(distance(got.attention[site], expected, where).difference, where).toBeLessThanOrEqual(1e-4);
    }
  }
}

for (const { folder: model, architecture } of SHIPPED) {
  test(`${model}: logits and attention are the reference's`, async ({ page }) => {
    const { device, description, progress } = await load(page, model);
    expect(device.backend).toBe(deviceHere() === 'webgpu' ? 'gpu' : 'cpu');
    expect(device.reason).toBeTruthy();
    expect(description.architecture).toBe(architecture);
    expect(progress.at(-1).loaded).toBe(progress.at(-1).total);
    await compare(page, model);
  });
}

// Chromium has relaxed SIMD: all other tests run the engine that uses it.
test('without relaxed SIMD there is an engine too, and its numbers are the reference\'s', { tag: '@cpu-only' }, async ({ page }) => {
  const engines = () => seen().requests.filter((url) => url.endsWith('.wasm')).map((url) => new URL(url).pathname);
  await load(page, SHIPPED[0].folder);
  expect(engines()).toEqual(['/pkg/relaxed/unmasked_bg.wasm']);
  await page.addInitScript(() => { WebAssembly.validate = () => false; });
  await page.reload();
  await expect(page.locator('html')).toHaveAttribute('data-ready', 'true');
  for (const { folder } of SHIPPED) {
    await load(page, folder);
    await compare(page, folder);
  }
  expect(engines()).toEqual(['/pkg/relaxed/unmasked_bg.wasm', '/pkg/unmasked_bg.wasm']);
});

// docs/performance.md counts on it; the CPU dispatches nothing.
test('an encoder\'s pass takes seven dispatches a layer and five, as trained and as packed', { tag: '@gpu-only' }, async ({ page }) => {
  for (const model of ['en-fr-encoder', 'en-fr-encoder-int8']) {
    const { description } = await load(page, model);
    const { forward: { stats } } = await forward(page, { text: 'My sister wants to learn English.', watch: { what: ['logits'] } });
    expect([stats.dispatches, stats.submits, stats.readbacks], model).toEqual([7 * description.layers.encoder + 5, 1, 1]);
  }
});

for (const model of GENERATING) {
  test(`${model}: the greedy answer is the reference's`, async ({ page }) => {
    await load(page, model);
    for (const { ids, source_length: sourceLength, greedy, greedy_margin: margins } of golden(model).cases) {
      const { steps } = await generate(page, { ids, sourceLength, maxNewTokens: greedy.length });
      const sure = certain(margins);
      expect(steps.map((step) => step.chosen).slice(0, sure)).toEqual(greedy.slice(0, sure));
      for (const { candidates } of steps) {
        const probabilities = candidates.map((candidate) => candidate.probability);
        expect(probabilities).toEqual([...probabilities].sort((a, b) => b - a));
        expect(probabilities.reduce((sum, p) => sum + p, 0)).toBeLessThanOrEqual(1 + 1e-5);
      }
    }
  });

  test(`${model}: a run that shares its beginning computes only what is new`, async ({ page }) => {
    await load(page, model);
    const { ids, source_length: sourceLength } = golden(model).cases[0];
    const first = await generate(page, { ids, sourceLength, maxNewTokens: 4 });
    const again = await generate(page, { ids, sourceLength, maxNewTokens: 4 });
    expect(again.steps.map((step) => step.chosen)).toEqual(first.steps.map((step) => step.chosen));
    // An encoder-decoder reads its source before the first step: the header's forward pass counts those rows.
    const rows = ({ header, steps }) => [header.forward, ...steps].reduce((sum, part) => sum + part.stats.rows_computed, 0);
    expect(rows(again)).toBeLessThan(rows(first));
    for (const step of first.steps.slice(1)) expect(step.stats.rows_computed).toBe(1);
  });
}

test('the engine is compiled while it arrives, and what a model needs while its weights do', async ({ page }) => {
  await page.route('**/worker.js', async (route) => {
    const answer = await route.fetch();
    const spy = `
      const told = new BroadcastChannel('told');
      const tell = (object, name) => {
        const { [name]: does } = object;
        object[name] = function (...details) { told.postMessage(name); return does.apply(this, details); };
      };
      tell(WebAssembly, 'instantiateStreaming');
      tell(WebAssembly, 'instantiate');
      if (self.GPUDevice) tell(GPUDevice.prototype, 'createComputePipeline');
      if (self.GPUDevice) tell(GPUAdapter.prototype, 'requestDevice');
      if (self.GPUQueue) tell(GPUQueue.prototype, 'submit');
    `;
    await route.fulfill({ response: answer, body: spy + await answer.text() });
  });
  // The weights come last, and late.
  await page.route('**/model.safetensors', async (route) => {
    await new Promise((resolve) => { setTimeout(resolve, 3000); });
    await page.evaluate(() => window.told.push('weights'));
    await route.continue();
  });
  await page.evaluate(() => {
    window.told = [];
    new BroadcastChannel('told').addEventListener('message', ({ data }) => window.told.push(data));
    const { compileStreaming } = WebAssembly;
    WebAssembly.compileStreaming = (...details) => { window.told.push('compileStreaming'); return compileStreaming(...details); };
  });
  await load(page, 'en-fr-causal');
  const told = await page.evaluate(() => window.told);
  // The page compiles, its worker takes what is compiled.
  expect(told.filter((name) => /^compile|^instantiate/.test(name))).toEqual(['compileStreaming', 'instantiate']);
  if (deviceHere() !== 'webgpu') return;
  const before = told.slice(0, told.indexOf('weights'));
  expect(before.filter((name) => name === 'createComputePipeline').length).toBeGreaterThan(5);
  // That is all that a run needs, of half floats and of packed weights.
  for (const model of ['en-fr-causal', 'en-fr-causal-int8']) {
    await page.evaluate(() => { window.told = []; });
    if (model.endsWith('int8')) await load(page, model);
    await generate(page, { text: 'The cat is hungry.', maxNewTokens: 2 });
    const all = await page.evaluate(() => window.told);
    const late = all.slice(all.indexOf('weights') + 1).filter((name) => name === 'createComputePipeline');
    expect(late, model).toEqual([]);
  }
  // Two models at once share one device, and the second finds every pipeline made.
  await page.evaluate(async () => {
    window.told = [];
    const load = (name) => window.unmasked.loadEngine(`/models/en-fr-${name}/`, { device: 'webgpu' });
    window.others = await Promise.all(['prefix', 'encoder-decoder'].map(load));
  });
  expect(told.filter((name) => name === 'requestDevice')).toHaveLength(1);
  expect((await page.evaluate(() => window.told)).filter((name) => name === 'requestDevice')).toEqual([]);
});

test('the encoder fills every blank, at once and one after the other', async ({ page }) => {
  await load(page, 'en-fr-encoder');
  const { special } = await page.evaluate(() => window.engine.describe());
  const example = golden('en-fr-encoder').cases[0];
  const blanks = example.ids.flatMap((id, at) => (id === special.mask ? [at] : []));
  for (const fill of ['parallel', 'confidence']) {
    const { steps } = await generate(page, { ids: example.ids, sourceLength: example.source_length, fill });
    expect(steps.map((step) => step.row).sort((a, b) => a - b), fill).toEqual(blanks);
    if (fill === 'parallel') {
      for (const step of steps) {
        if (example.best_margin[step.row] >= 1e-3) expect(step.chosen).toBe(example.best[step.row]);
      }
    }
  }
});

test('text goes in and text comes out, the same each time for a seed', async ({ page }) => {
  await load(page, 'en-fr-causal');
  const request = { text: 'The cat is hungry.', maxNewTokens: 6, sampling: { temperature: 1.5, topK: 50, topP: 0.9, seed: 7 } };
  const [first, second] = [await generate(page, request), await generate(page, request)];
  expect(first.header.tokens.slice(0, first.header.source_length).map((token) => token.id))
    .toEqual(golden('en-fr-causal').cases[0].ids);
  expect(first.steps.length).toBeGreaterThan(0);
  expect(second.steps.map((step) => step.chosen)).toEqual(first.steps.map((step) => step.chosen));
});

test('automatic choice says what runs and why', async ({ page }) => {
  const { device } = await load(page, 'en-fr-causal', 'auto');
  // SwiftShader is software: the CPU is quicker, and chosen.
  expect(device.backend).toBe('cpu');
  expect(device.reason).not.toBe('');
});

test('what cannot work is said in one line, and the engine stays usable', async ({ page }) => {
  await load(page, 'en-fr-causal');
  const vocabulary = golden('en-fr-causal').cases[0].logits[0].length;
  for (const [call, argument] of [
    ['loadEngine', ['/models/no-such-model/', {}]],
    ['loadEngine', ['/models/en-fr-causal/', { device: 'abacus' }]],
    ['forward', { ids: [1, vocabulary] }],
    ['forward', { ids: [] }],
    ['forward', { text: '' }],
    ['generate', { text: 'Hello.', mask: { decoder: { rule: 'sideways' } } }],
  ]) {
    const error = await failure(page, call, argument);
    const what = `${call} ${JSON.stringify(argument)}`;
    expect(error, what).not.toBeNull();
    expect(error.message, what).toMatch(/\S/);
    expect(error.message, what).not.toMatch(/\n|undefined|unreachable|panicked|\[object/);
  }
  const { steps } = await generate(page, { text: 'Thank you!', maxNewTokens: 3 });
  expect(steps.length).toBeGreaterThan(0);
  // A refused download is told to the console by the browser itself.
  seen().errors = seen().errors.filter((text) => !/404/.test(text));
});

test('weights that were cut off are refused by name', async ({ page }) => {
  await page.route('**/model.safetensors', async (route) => {
    const response = await route.fetch();
    const body = await response.body();
    await route.fulfill({ status: 200, contentType: 'application/octet-stream', body: body.subarray(0, body.length / 2) });
  });
  const error = await failure(page, 'loadEngine', ['/models/en-fr-causal/', { device: deviceHere() }]);
  expect(error?.message).toContain('model.safetensors');
});

test('what fails is of a kind: a mask that is none, files that do not come, an engine that was freed', async ({ page }) => {
  await load(page, 'en-fr-causal');
  for (const [mask, says] of [['full', 'masks by stack'], [{ rule: 'full' }, 'unknown field `rule`'], [{ decoder: 7 }, 'expected a mask: a rule such as']]) {
    const error = await failure(page, 'forward', { text: 'Hello.', mask });
    expect([error?.kind, error?.loss], String(says)).toEqual(['input', undefined]);
    expect(error?.message).toContain(says);
  }
  const missing = await failure(page, 'loadEngine', ['/models/none/', { device: 'cpu' }]);
  expect([missing?.kind, missing?.got, missing?.loss]).toEqual(['download', '404', undefined]);
  const freed = await page.evaluate(() => { window.engine.free(); return window.engine.forward({ text: 'Hello.' }).catch(({ kind }) => kind); });
  expect(freed).toBe('input');
});

test('a field that no request has is refused by its name, wherever it stands', async ({ page }) => {
  await load(page, 'en-fr-causal');
  const { layers, heads } = await page.evaluate(() => window.engine.describe().stacks.decoder);
  for (const [field, argument] of [
    ['maxNewToken', { text: 'Hello.', maxNewToken: 1 }],
    ['topk', { text: 'Hello.', sampling: { temperature: 1, topk: 1 } }],
    ['head', { text: 'Hello.', watch: { head: [0], what: ['attention'] } }],
    ['causal', { text: 'Hello.', gates: { causal: [] } }],
  ]) {
    for (const call of ['forward', 'generate']) {
      const error = await failure(page, call, argument);
      expect(error?.message, field).toContain(`unknown field \`${field}\``);
    }
  }
  // Nor is an array read in an object's place, as if what stands first in it were its first field.
  for (const field of ['gates', 'mask', 'sampling', 'watch']) {
    const error = await failure(page, 'forward', { text: 'Hello.', [field]: [] });
    expect(error?.message, field).toContain(`invalid type: sequence, expected ${field === 'mask' ? 'masks by stack: { encoder, decoder, cross }' : 'struct'}`);
  }
  const variant = await page.evaluate(() => window.engine.sweep({ text: 'Hello.' }, [{ gates: [] }]).catch(({ message }) => message));
  expect(variant).toContain('invalid type: sequence, expected struct Gates');
  // What is known may come in typed arrays, and what is undefined is as good as absent.
  const [plain, typed] = await page.evaluate(async ([layers, heads]) => {
    const ids = [1, 300, 301, 302, 2];
    const gates = Array.from({ length: layers }, (_, layer) => Array.from({ length: heads }, (_, head) => (layer === 1 && head === 0 ? 0.5 : 1)));
    const watch = { layers: 'all', heads: 'all', rows: 'all', what: ['logits'] };
    const sampling = { temperature: 0, topK: undefined, seed: Number.MAX_SAFE_INTEGER };
    return Promise.all([
      window.engine.forward({ ids, gates: { decoder: gates }, watch }),
      window.engine.forward({
        ids: new Uint32Array(ids), pair: undefined, sampling, gates: { decoder: gates.map((row) => new Float32Array(row)), cross: undefined }, watch,
      }),
    ]);
  }, [layers, heads]);
  expect(typed.tokens).toEqual(plain.tokens);
  const { difference, largest } = distance(typed.forward.logits, plain.forward.logits, 'logits');
  expect(difference).toBeLessThanOrEqual(1e-4 * largest);
});

test('a text longer than the context is cut, and says how much', async ({ page }) => {
  await load(page, 'en-fr-causal');
  const { truncated, tokens } = await page.evaluate(() => window.engine.tokenize('The cat is hungry. '.repeat(200)));
  expect(truncated).toBeGreaterThan(0);
  expect(tokens.length).toBeGreaterThan(0);
  const { steps } = await generate(page, { text: 'The cat is hungry. '.repeat(200), maxNewTokens: 2 });
  expect(steps.length).toBeGreaterThan(0);
});

test('a run can be cancelled and another begun', async ({ page }) => {
  await load(page, 'en-fr-causal');
  const outcome = await page.evaluate(async () => {
    const abort = new AbortController();
    const steps = [];
    try {
      for await (const step of window.engine.generate({ text: 'The cat is hungry.', signal: abort.signal })) {
        steps.push(step);
        abort.abort();
      }
      return { steps: steps.length, end: 'none' };
    } catch (error) {
      return { steps: steps.length, end: error.name };
    }
  });
  expect(outcome).toEqual({ steps: 1, end: 'AbortError' });
  const { steps } = await generate(page, { text: 'Thank you!', maxNewTokens: 2 });
  expect(steps.length).toBeGreaterThan(0);
});

test('a run that is over before it was begun leaves nothing in the worker', async ({ page }) => {
  await load(page, 'en-fr-causal');
  const told = await page.evaluate(async () => {
    const begin = (signal) => window.engine.generate({ text: 'The cat is hungry.', signal });
    const end = (run) => run.header.then(() => 'begun', (error) => error.name);
    const { runs } = await window.unmasked.usage();
    const aborted = await end(begin(AbortSignal.abort()));
    const abort = new AbortController();
    const run = begin(abort.signal);
    abort.abort();
    const other = begin();
    other.cancel();
    const ends = [aborted, await end(run), await end(other)];
    // Cancelled by itself it is read to its end, which comes at once; a signal's end is an error, as ever.
    for (const over of [other, run]) {
      try {
        for await (const step of over) ends.push(step);
        ends.push('nothing');
      } catch (error) { ends.push(error.name); }
    }
    // Whatever was begun has its turn before this.
    await window.engine.tokenize('The cat');
    return { ends, left: (await window.unmasked.usage()).runs - runs };
  });
  expect(told).toEqual({ ends: ['AbortError', 'AbortError', 'AbortError', 'nothing', 'AbortError'], left: 0 });
});

test('nobody listens longer to a signal than what it was given to takes', async ({ page }) => {
  const heard = await page.evaluate(async (device) => {
    const { signal } = new AbortController();
    const listeners = new Set();
    const { addEventListener: add, removeEventListener: remove } = signal;
    signal.addEventListener = (type, listener, options) => { listeners.add(listener); add.call(signal, type, listener, options); };
    signal.removeEventListener = (type, listener) => { listeners.delete(listener); remove.call(signal, type, listener); };
    const heard = [];
    const engine = await window.unmasked.loadEngine('/models/en-fr-causal/', { device: /** @type {any} */ (device), signal });
    heard.push(listeners.size);
    await engine.forward({ text: 'The cat is hungry.', watch: { what: [] }, signal });
    await engine.forward({ ids: [], signal }).catch(() => {});
    heard.push(listeners.size);
    const run = engine.generate({ text: 'The cat is hungry.', maxNewTokens: 2, signal });
    await run.header;
    const during = listeners.size;
    for await (const step of run) if (!step) break;
    heard.push(listeners.size);
    const refused = engine.generate({ ids: [], signal });
    await refused.header.catch(() => {});
    heard.push(listeners.size);
    return { during, heard };
  }, deviceHere());
  expect(heard).toEqual({ during: 1, heard: [0, 0, 0, 0] });
});

test('no request leaves the origin', async ({ page, baseURL }) => {
  await load(page, 'en-fr-causal');
  await generate(page, { text: 'Thank you!', maxNewTokens: 2 });
  expect(seen().requests.some((url) => url.endsWith('/pkg/relaxed/unmasked_bg.wasm'))).toBe(true);
  expect(foreign(seen().requests, new URL(baseURL).origin)).toEqual([]);
});
