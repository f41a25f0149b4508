/** Loading: a checkpoint is read a part after the other, and never held as a whole beside its weights. */
import { closeSync, cpSync, openSync, readFileSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@playwright/test';
import { gpt2, writeModel } from '../../bench/random.mjs';
import { distance } from '../golden.js';
import { startWorker } from '../worker.js';
import { chooseFiles, onEnginePage } from './page.js';

const MB = 2 ** 20;
/** 90 MB, of which the vocabulary has 60. */
const MODEL = gpt2({ vocabulary: 30_000, width: 512, heads: 8, layers: 2, positions: 64 });
const LARGEST = 4 * 30_000 * 512;

onEnginePage();

const onCpu = () => test.info().project.name === 'no-webgpu';

const load = (page, device) => page.evaluate(async (device) => {
  const files = [.../** @type {HTMLInputElement} */ (document.querySelector('#files')).files ?? []];
  const progress = [];
  const before = (await window.unmasked.usage()).wasm_bytes;
  const engine = await window.unmasked.loadEngine(files, { device, onProgress: (now) => progress.push(now) });
  window.engine = engine;
  const { wasm_bytes: after, bytes } = await window.unmasked.usage();
  return { before, after, bytes, progress, device: engine.device };
}, device);

test('a large checkpoint takes no more of the memory than its weights and a few parts of it', async ({ page }, info) => {
  const folder = info.outputPath('model');
  writeModel(folder, MODEL);
  const { size } = statSync(`${folder}/model.safetensors`);
  await chooseFiles(page, folder);
  const { before, after, bytes, progress, device } = await load(page, onCpu() ? 'cpu' : 'webgpu');
  expect(device.backend).toBe(onCpu() ? 'cpu' : 'gpu');
  // Issue 5 allows the largest tensor and 64 MB in all; what lies on the CPU comes on top.
  const most = LARGEST + 64 * MB + (onCpu() ? size : 0);
  console.log(`wasm ${(before / MB).toFixed(1)} -> ${(after / MB).toFixed(1)} MB, file ${(size / MB).toFixed(1)} MB`);
  expect(after).toBeLessThan(most);
  // Parts are small: of the largest tensor no trace is left in it.
  expect(after - before).toBeLessThan(40 * MB + (onCpu() ? size : 0));
  if (!onCpu()) expect(bytes).toBeGreaterThan(0.99 * size);
  expect(progress.at(-1).loaded).toBe(progress.at(-1).total);
  const step = await page.evaluate(async () => {
    for await (const one of window.engine.generate({ ids: [5, 6, 29_999], maxNewTokens: 1 })) return one;
    return null;
  });
  expect(step?.candidates.length).toBeGreaterThan(0);
  rmSync(folder, { recursive: true });
});

test('numbers beyond what 32 bits count are read where they are', async ({ page }, info) => {
  // A table as large as XLM-R's and one of 4 GB, of zeros that no disk holds, and behind them a small model's tensors.
  const folder = info.outputPath('model');
  cpSync(fileURLToPath(new URL('../../golden/families/gpt2', import.meta.url)), folder, { recursive: true });
  const path = `${folder}/model.safetensors`;
  const small = readFileSync(path);
  const length = Number(small.readBigUInt64LE());
  const header = JSON.parse(small.subarray(8, 8 + length).toString());
  const tables = { zeros: [250_002, 768], more: [1 << 20, 1 << 10] };
  let end = 0;
  const before = Object.entries(tables).map(([name, shape]) => {
    const start = end;
    end += 4 * shape[0] * shape[1];
    return [name, { dtype: 'F32', shape, data_offsets: [start, end] }];
  });
  for (const tensor of Object.values(header)) if (tensor.data_offsets) tensor.data_offsets = tensor.data_offsets.map((at) => at + end);
  const text = JSON.stringify({ ...header, ...Object.fromEntries(before) });
  const first = 8 + text.length;
  const data = small.subarray(8 + length);
  const lengths = Buffer.alloc(8);
  lengths.writeBigUInt64LE(BigInt(text.length));
  const file = openSync(path, 'w');
  writeSync(file, lengths);
  writeSync(file, text);
  truncateSync(path, first + end);
  writeSync(file, data, 0, data.length, first + end);
  closeSync(file);
  const steps = [];
  for (const from of [folder, fileURLToPath(new URL('../../golden/families/gpt2', import.meta.url))]) {
    await chooseFiles(page, from);
    await load(page, onCpu() ? 'cpu' : 'webgpu');
    steps.push(await page.evaluate(async () => {
      const { stored } = window.engine.describe();
      for await (const { candidates } of window.engine.generate({ ids: [5, 6, 7], maxNewTokens: 1 })) return { bytes: stored.bytes, candidates };
      return null;
    }));
  }
  expect(steps[0]?.bytes).toBe(first + end + data.length);
  expect(steps[0]?.candidates.length).toBeGreaterThan(0);
  expect(steps[0]?.candidates).toEqual(steps[1]?.candidates);
  rmSync(folder, { recursive: true });
});

test('files that change while they are read end in one message', async ({ page }, info) => {
  const folder = info.outputPath('model');
  writeModel(folder, gpt2({ vocabulary: 300, width: 64, heads: 2, layers: 1, positions: 16 }));
  await chooseFiles(page, folder);
  writeModel(folder, gpt2({ vocabulary: 200, width: 64, heads: 2, layers: 1, positions: 16 }));
  const error = await load(page, 'cpu').catch(({ message }) => message);
  expect(error).toMatch(/expected \d+ bytes from 0 on, got/);
  rmSync(folder, { recursive: true });
});

test('a run of another engine goes on while one loads, and a load can be cancelled', async ({ page }) => {
  const outcome = await page.evaluate(async () => {
    const device = /** @type {any} */ ('cpu');
    const first = await window.unmasked.loadEngine('/models/en-fr-causal/', { device });
    const abort = new AbortController();
    const second = window.unmasked.loadEngine('/models/en-fr-prefix/', { device, signal: abort.signal });
    const name = second.then(() => 'loaded', (error) => error.name);
    abort.abort();
    let steps = 0;
    for await (const _ of first.generate({ text: 'Where is the cat?', maxNewTokens: 5 })) steps += 1;
    const third = await window.unmasked.loadEngine('/models/en-fr-prefix/', { device });
    return { name: await name, steps, architecture: third.describe().architecture };
  });
  expect(outcome).toEqual({ name: 'AbortError', steps: expect.any(Number), architecture: 'prefix' });
  expect(outcome.steps).toBeGreaterThan(1);
});

test('a model that is given up when its answer is on the way is not kept', async ({ page }) => {
  const device = onCpu() ? 'cpu' : 'webgpu';
  const told = await page.evaluate(async (device) => {
    const abort = new AbortController();
    const listen = Worker.prototype.addEventListener;
    Worker.prototype.addEventListener = function hooked(type, listener, options) {
      listen.call(this, type, (event) => {
        if (event.data?.result?.description) abort.abort();
        /** @type {EventListener} */ (listener)(event);
      }, options);
    };
    const load = window.unmasked.loadEngine('/models/en-fr-causal/', { device: /** @type {any} */ (device), signal: abort.signal });
    const name = await load.then(() => 'loaded', (error) => error.name);
    return { name, ...(await window.unmasked.usage()) };
  }, device);
  expect(told).toMatchObject({ name: 'AbortError', engines: 0, runs: 0 });
});

test('a model that is given up while its adapter is asked for a name is not kept @gpu-only', async ({ page }) => {
  const worker = await startWorker(page);
  await worker.evaluate(() => {
    const ask = GPU.prototype.requestAdapter;
    const told = new BroadcastChannel('asked');
    GPU.prototype.requestAdapter = async function requestAdapter(options) {
      told.postMessage('');
      await new Promise((resolve) => { setTimeout(resolve, 400); });
      return ask.call(this, options);
    };
  });
  const told = await page.evaluate(async () => {
    let asked = 0;
    let giveUp = Infinity;
    const abort = new AbortController();
    new BroadcastChannel('asked').onmessage = () => { asked += 1; if (asked === giveUp) abort.abort(); };
    const load = (signal) => window.unmasked.loadEngine('/models/en-fr-causal/', { device: 'webgpu', signal });
    // The first one opens the GPU. Of the second the name is all that an adapter is asked for.
    for (let times = 0; times < 2; times += 1) (await load()).free();
    const before = asked;
    (await load()).free();
    giveUp = asked + (asked - before);
    const name = await load(abort.signal).then(() => 'loaded', (error) => error.name);
    await new Promise((resolve) => { setTimeout(resolve, 1500); });
    return { name, each: asked - before, ...(await window.unmasked.usage()) };
  });
  expect(told).toMatchObject({ name: 'AbortError', engines: 0, runs: 0 });
  expect(told.each).toBeGreaterThan(0);
});

test('a vocabulary larger than a binding lies in two buffers, and its logits are the same @gpu-only', async ({ page }, info) => {
  const folder = info.outputPath('model');
  writeModel(folder, gpt2({ vocabulary: 30_000, width: 64, heads: 2, layers: 1, positions: 16 }));
  await chooseFiles(page, folder);
  const worker = await startWorker(page);
  // No browser offers less than 128 MB: the engine is told so in its stead.
  await worker.evaluate(() => {
    const { get } = /** @type {any} */ (Object.getOwnPropertyDescriptor(GPUDevice.prototype, 'limits'));
    Object.defineProperty(GPUDevice.prototype, 'limits', {
      get() {
        return new Proxy(get.call(this), { get: (limits, name) => (name === 'maxStorageBufferBindingSize' ? 4_000_000 : limits[name]) });
      },
    });
  });
  const logits = async (device) => {
    const { device: { backend } } = await load(page, device);
    const { forward } = await page.evaluate(() => window.engine.forward({ ids: [3, 15_615, 15_616, 29_999], watch: { what: ['logits'] } }));
    return { backend, logits: forward.logits };
  };
  const [split, cpu] = [await logits('webgpu'), await logits('cpu')];
  expect(split.backend).toBe('gpu');
  const { difference, largest } = distance(split.logits, cpu.logits);
  expect(difference).toBeLessThanOrEqual(1e-4 * largest);
  rmSync(folder, { recursive: true });
});

test('an engine that has read and written leaves nothing behind', async ({ page }) => {
  const device = onCpu() ? 'cpu' : 'webgpu';
  const held = await page.evaluate(async (device) => {
    const held = [];
    for (let round = 0; round < 12; round += 1) {
      const engine = await window.unmasked.loadEngine('/models/en-fr-causal-int8/', { device });
      for await (const step of engine.generate({ text: 'The cat is hungry.', maxNewTokens: 3 })) if (!step) break;
      engine.free();
      held.push((await window.unmasked.usage()).heap_bytes);
    }
    return held;
  }, device);
  // The first rounds fill what is made once. A byte-pair model's place among those of its thread stays, 56 bytes.
  expect((held[11] - held[3]) / 8).toBeLessThan(120);
});
