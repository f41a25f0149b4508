/** The GPU is lost, the worker crashes, memory ends: runs go on with the same tokens, or say what did not fit. */
import { expect, test } from '@playwright/test';
import { MODELS } from '../golden.js';
import { watch } from '../watch.js';
import { crash, keepDevices, limitMemory, loseDevice, startWorker } from '../worker.js';

const isGpu = () => test.info().project.name === 'webgpu';
const deviceHere = () => (isGpu() ? 'webgpu' : 'cpu');
const MASK = 4;

let seen;
let worker;
/** What `harm(name)` in the page does. */
let harms;

test.beforeEach(async ({ page }) => {
  seen = await watch(page);
  harms = {
    lose: () => loseDevice(worker),
    crash: async () => crash(worker ?? await page.waitForEvent('worker')),
    offline: () => page.context().setOffline(true),
  };
  await page.exposeFunction('harm', async (name) => {
    const harmed = worker;
    await harms[name]();
    // The next call starts another worker, or one that was under way has; what a test does next it does there.
    if (name === 'crash' && worker === harmed) worker = null;
  });
  await page.exposeFunction('fill', (full) => worker.evaluate((full) => { self.full = full; }, full));
  page.on('worker', (started) => { worker = started; });
  await page.goto('/__test__/engine.html');
  await expect(page.locator('html')).toHaveAttribute('data-ready', 'true');
  worker = await startWorker(page);
  if (isGpu()) await keepDevices(worker);
});

test.afterEach(() => {
  expect(seen.errors.filter((text) => !text.includes('made up by a test'))).toEqual([]);
});

/**
 * A run that is harmed: { steps, events, device, passed }. `at` says what happens before which of its pulls reaches the worker,
 * `late` how many milliseconds later (those before are answered until then), and how many more that pull is then held back;
 * `passed` counts those behind it that were not.
 */
const run = (page, { model, device, request, at = {}, late = 0 }) => page.evaluate(async ({ model, device, request, at, late }) => {
  const events = [];
  const engine = await window.unmasked.loadEngine(`/models/${model}/`, { device, onDevice: (event) => events.push(event) });
  const post = Worker.prototype.postMessage;
  let [pulls, passed, held] = [0, 0, 0];
  let before = Promise.resolve();
  const soon = () => new Promise((done) => { setTimeout(done, late); });
  Worker.prototype.postMessage = function postMessage(...message) {
    const harms = (message[0]?.method === 'next' && at[pulls += 1]) || [];
    for (const name of harms) before = before.then(soon).then(() => window.harm(name));
    if (!harms.length) {
      before = before.then(() => { if (held && message[0]?.method === 'next') passed += 1; });
      before.then(() => post.apply(this, message));
      return;
    }
    held += 1;
    before.then(soon).then(() => { held -= 1; post.apply(this, message); });
  };
  const steps = [];
  try {
    for await (const step of engine.generate(request)) {
      steps.push({ row: step.row, chosen: step.chosen, rows: step.rows, candidates: step.candidates.map(({ id }) => id) });
    }
  } finally {
    Worker.prototype.postMessage = post;
  }
  const told = { device: engine.device, header: (await engine.forward({ ids: [1, 300, 301] })).device };
  engine.free();
  return { steps, events, passed, ...told };
}, { model, device, request, at, late });

/** A request of a kind for each architecture. */
const requestFor = (model) => (model === 'en-fr-encoder'
  ? { ids: [5, 300, MASK, 301, MASK, MASK, 302, 2], fill: 'confidence' }
  : { text: 'The old man reads a book in the garden.', maxNewTokens: 6 });

for (const model of MODELS) {
  // Without a GPU there is none to lose.
  test(`${model}: a lost GPU is rebuilt and the run goes on with the same tokens`, { tag: '@gpu-only' }, async ({ page }) => {
    const request = requestFor(model);
    const whole = await run(page, { model, device: 'webgpu', request });
    expect(whole.device.backend).toBe('gpu');
    const harmed = await run(page, { model, device: 'webgpu', request, at: { 2: ['lose'] } });
    expect(harmed.steps).toEqual(whole.steps);
    expect(harmed.events.map(({ event, backend }) => [event, backend])).toEqual([['chosen', 'gpu'], ['lost', 'gpu'], ['recovered', 'gpu']]);
    expect(harmed.events[1].reason).toMatch(/lost|loss/);
    expect(harmed.device.backend).toBe('gpu');
  });

  // A crash is the same on every device; one test is enough on the slow one.
  test(`${model}: a worker that crashes is replaced and the run goes on with the same tokens`, { tag: model === 'en-fr-causal' ? [] : '@cpu-only' }, async ({ page }) => {
    const request = requestFor(model);
    const whole = await run(page, { model, device: deviceHere(), request });
    const harmed = await run(page, { model, device: deviceHere(), request, at: { 2: ['crash'] } });
    expect(harmed.steps).toEqual(whole.steps);
    expect(harmed.events.map(({ event }) => event)).toEqual(['chosen', 'lost', 'recovered']);
  });
}

// Without a GPU there is none to lose. The pull before hears of the loss after the one behind it.
test('steps keep their order, whichever of two pulls hears of a loss first', { tag: '@gpu-only' }, async ({ page }) => {
  const [model, request] = ['en-fr-causal', { ...requestFor('en-fr-causal'), maxNewTokens: 12, watch: { what: ['attention'] } }];
  // As short as on hardware: of long steps nobody pulls two at once.
  await worker.evaluate(() => {
    const answer = self.postMessage.bind(self);
    self.postMessage = (message) => {
      if (Array.isArray(message.result)) for (const { stats } of message.result) if (stats) stats.milliseconds = 1;
      answer(message);
    };
  });
  const whole = await run(page, { model, device: 'webgpu', request });
  const harmed = await run(page, { model, device: 'webgpu', request, at: { 4: ['lose'] }, late: 150 });
  expect(harmed.passed).toBeGreaterThan(0);
  expect(harmed.steps).toEqual(whole.steps);
  expect(harmed.events.map(({ event }) => event)).toEqual(['chosen', 'lost', 'recovered']);
});

// What was drawn does not depend on the device.
test('all blanks of one pass, and a sampled run, go on as well', { tag: '@cpu-only' }, async ({ page }) => {
  const cases = [
    ['en-fr-encoder', { ...requestFor('en-fr-encoder'), fill: 'parallel' }],
    ['en-fr-causal', { ...requestFor('en-fr-causal'), sampling: { temperature: 1.5, topK: 40, topP: 0.95, seed: 11 } }],
  ];
  for (const [model, request] of cases) {
    const whole = await run(page, { model, device: deviceHere(), request });
    const harmed = await run(page, { model, device: deviceHere(), request, at: { 2: ['crash'] } });
    expect(harmed.steps.map(({ row, chosen }) => [row, chosen])).toEqual(whole.steps.map(({ row, chosen }) => [row, chosen]));
  }
});

// Without a GPU there is none to lose.
test('after three losses within a minute the CPU goes on, and says so', { tag: '@gpu-only' }, async ({ page }) => {
  const [model, request] = ['en-fr-causal', requestFor('en-fr-causal')];
  const whole = await run(page, { model, device: 'webgpu', request });
  const harmed = await run(page, { model, device: 'webgpu', request, at: { 2: ['lose'], 4: ['lose'], 6: ['lose'] } });
  expect(harmed.steps.map(({ chosen }) => chosen)).toEqual(whole.steps.map(({ chosen }) => chosen));
  expect(harmed.events.map(({ event }) => event)).toEqual(['chosen', 'lost', 'recovered', 'lost', 'recovered', 'lost', 'recovered']);
  expect(harmed.events.at(-1)).toMatchObject({ backend: 'cpu', cause: 'lost' });
  for (const told of [harmed.device, harmed.header]) {
    expect(told).toMatchObject({ backend: 'cpu', cause: 'lost', reason: 'the GPU was lost three times within a minute' });
  }
});

// Without a GPU there is none to lose.
test('a model that is opened after three losses comes on the CPU at once, and says so', { tag: '@gpu-only' }, async ({ page }) => {
  const harmed = await run(page, { model: 'en-fr-causal', device: 'webgpu', request: requestFor('en-fr-causal'), at: { 2: ['lose'], 4: ['lose'], 6: ['lose'] } });
  expect(harmed.device).toMatchObject({ backend: 'cpu', cause: 'lost' });
  for (const [model, device, told] of [['en-fr-prefix', 'webgpu', { backend: 'cpu', cause: 'lost' }], ['en-fr-causal', 'auto', { backend: 'cpu', cause: 'lost' }],
    ['en-fr-prefix', 'cpu', { backend: 'cpu', cause: 'asked' }]]) {
    const next = await run(page, { model, device, request: requestFor(model) });
    expect(next.device, `${model} on ${device}`).toMatchObject(told);
    expect(next.events.map(({ event }) => event)).toEqual(['chosen']);
  }
});

// Without a GPU nothing could fall from it.
test('a worker that crashes under the CPU is no loss of the GPU', { tag: '@gpu-only' }, async ({ page }) => {
  const crashed = await run(page, { model: 'en-fr-causal', device: 'cpu', request: requestFor('en-fr-causal'), at: { 2: ['crash'], 4: ['crash'], 6: ['crash'] } });
  expect(crashed.events.filter(({ event }) => event === 'lost')).toHaveLength(3);
  expect((await run(page, { model: 'en-fr-prefix', device: 'webgpu', request: requestFor('en-fr-prefix') })).device.backend).toBe('gpu');
});

// Without a GPU there is none to lose.
test('what is lost together is one loss, and everybody comes back', { tag: '@gpu-only' }, async ({ page }) => {
  const told = await page.evaluate(async () => {
    const events = [];
    const load = (name) => window.unmasked.loadEngine(`/models/${name}/`, { device: 'webgpu', onDevice: ({ event, backend }) => events.push([name, event, backend]) });
    const engines = [await load('en-fr-causal'), await load('en-fr-prefix'), await load('en-fr-encoder-decoder')];
    const request = { text: 'Thank you!', maxNewTokens: 4 };
    const all = async () => Promise.all(engines.map(async (engine) => {
      const chosen = [];
      for await (const step of engine.generate(request)) chosen.push(step.chosen);
      return chosen;
    }));
    const before = await all();
    for (let loss = 0; loss < 2; loss += 1) {
      await window.harm('lose');
      const after = await all();
      if (JSON.stringify(after) !== JSON.stringify(before)) throw new Error(`${JSON.stringify([before, after])}`);
    }
    const usage = await window.unmasked.usage();
    engines.forEach((engine) => engine.free());
    return { events, usage };
  });
  expect(told.events.filter(([, event]) => event === 'recovered').map(([, , backend]) => backend)).toEqual(Array(6).fill('gpu'));
  expect(told.usage.engines).toBe(3);
});

// A new worker needs its script: only a lost GPU can do without the network.
test('with the network gone the model comes back from the cache', { tag: '@gpu-only' }, async ({ page }) => {
  const [model, request] = ['en-fr-prefix', requestFor('en-fr-prefix')];
  const whole = await run(page, { model, device: 'webgpu', request });
  const harmed = await run(page, { model, device: 'webgpu', request, at: { 2: ['offline', 'lose'] } });
  await page.context().setOffline(false);
  expect(harmed.steps).toEqual(whole.steps);
});

test('a call that is under way when the worker crashes is done again', async ({ page }) => {
  const logits = await page.evaluate(async (device) => {
    const engine = await window.unmasked.loadEngine('/models/en-fr-causal/', { device });
    const request = { ids: [1, 300, 301, 302], watch: { what: ['logits'] } };
    const before = await engine.forward(request);
    const under = engine.forward({ ...request, ids: [1, 300, 301, 303] }).then(() => engine.forward(request));
    await window.harm('crash');
    const after = await under;
    engine.free();
    return [before.forward.logits, after.forward.logits];
  }, deviceHere());
  expect(logits[1]).toEqual(logits[0]);
});

test('crashes between two steps cost nothing', async ({ page }) => {
  const answer = await page.evaluate(async (device) => {
    const engine = await window.unmasked.loadEngine('/models/en-fr-causal/', { device });
    const run = engine.generate({ text: 'Thank you!', maxNewTokens: 4 });
    await run.header;
    for (let crash = 0; crash < 2; crash += 1) {
      await window.harm('crash');
      await engine.tokenize('a');
    }
    const chosen = [];
    for await (const step of run) chosen.push(step.chosen);
    engine.free();
    return chosen;
  }, deviceHere());
  expect(answer.length).toBeGreaterThan(0);
});

// A crash is the same on every device.
test('a request that crashes every worker is given up after a while, and the others live on', { tag: '@cpu-only' }, async ({ page }) => {
  let started = 1;
  const crashOnSweep = () => {
    const answer = self.postMessage.bind(self);
    self.postMessage = (message) => {
      if (message.result?.variants) throw new WebAssembly.RuntimeError('unreachable, made up by a test');
      answer(message);
    };
  };
  await worker.evaluate(crashOnSweep);
  page.on('worker', (next) => { started += 1; next.evaluate(crashOnSweep).catch(() => {}); });
  const told = await page.evaluate(async () => {
    const engine = await window.unmasked.loadEngine('/models/en-fr-causal/', { device: 'cpu' });
    const error = await engine.sweep({ text: 'Thank you!' }, [{}]).catch(({ kind, message }) => ({ kind, message }));
    const { tokens } = await engine.tokenize('Thank you!');
    engine.free();
    return { ...error, tokens: tokens.length };
  });
  expect(told).toMatchObject({ kind: 'lost', message: expect.stringContaining('the engine stopped and must be started again') });
  expect(told.tokens).toBeGreaterThan(2);
  expect(started, 'the first, three more tries, and one for what came after').toBe(5);
});

// The CPU has no buffers.
test('memory that ends is said by name, in bytes, with what to do; nothing is computed on it', { tag: '@gpu-only' }, async ({ page }) => {
  await limitMemory(worker);
  const errors = await page.evaluate(async () => {
    const failure = async (work) => work().then(() => null, ({ kind, what, expected, message }) => ({ kind, what, expected, message }));
    const load = () => window.unmasked.loadEngine('/models/en-fr-causal/', { device: 'webgpu' });
    await window.fill(true);
    const weights = await failure(load);
    await window.fill(false);
    const engine = await load();
    await window.fill(true);
    const caches = await failure(() => engine.forward({ text: 'Thank you!' }));
    await window.fill(false);
    const { tokens } = await engine.forward({ text: 'Thank you!' });
    engine.free();
    return { weights, caches, tokens: tokens.length };
  });
  for (const [name, what] of [['weights', /^weight `/], ['caches', /^key\/value caches$/]]) {
    expect(errors[name], name).not.toBeNull();
    expect(errors[name].kind).toBe('memory');
    expect(errors[name].what).toMatch(what);
    expect(Number(/room for (\d+) bytes/.exec(errors[name].expected)?.[1])).toBeGreaterThan(100);
    expect(errors[name].message).toMatch(/close other models.*smaller model.*CPU/);
  }
  expect(errors.tokens).toBeGreaterThan(2);
});

// The CPU has no buffers.
test('models share the memory: one that needs room gets what another can make again', { tag: '@gpu-only' }, async ({ page }) => {
  await limitMemory(worker);
  const told = await page.evaluate(async () => {
    const load = (name) => window.unmasked.loadEngine(`/models/${name}/`, { device: 'webgpu' });
    const [first, second] = [await load('en-fr-causal'), await load('en-fr-prefix')];
    const request = { text: 'Thank you!', maxNewTokens: 4 };
    const read = async (engine) => {
      const chosen = [];
      for await (const step of engine.generate(request)) chosen.push(step.chosen);
      return chosen;
    };
    const before = await read(first);
    const held = await window.unmasked.usage();
    await window.fill(1);
    await read(second);
    const shared = await window.unmasked.usage();
    const after = await read(first);
    const both = await window.unmasked.usage();
    first.free();
    second.free();
    return { before, after, held, shared, both };
  });
  expect(told.after).toEqual(told.before);
  expect(told.shared.buffers, 'the first gave its caches back for the second').toBeLessThan(told.both.buffers);
});

test('freeing really frees, buffer by buffer', async ({ page }) => {
  const rounds = await page.evaluate(async (device) => {
    const told = [];
    for (let round = 0; round < 4; round += 1) {
      const engines = [];
      for (const name of ['en-fr-encoder', 'en-fr-causal', 'en-fr-encoder-decoder']) {
        const engine = await window.unmasked.loadEngine(`/models/${name}/`, { device });
        await engine.forward({ ids: [5, 300, 301, 302] });
        engines.push(engine);
      }
      const open = await window.unmasked.usage();
      engines.forEach((engine) => engine.free());
      told.push([open, await window.unmasked.usage()]);
    }
    return told;
  }, deviceHere());
  const [[open, freed]] = rounds;
  if (isGpu()) {
    expect(open.bytes).toBeGreaterThan(10e6);
    expect(open.buffers).toBeGreaterThan(100);
  }
  expect(freed.engines).toBe(0);
  // The device's own two stand-ins stay.
  expect(freed.buffers).toBeLessThanOrEqual(2);
  for (const [again, gone] of rounds.slice(1)) {
    expect([again.buffers, again.bytes]).toEqual([open.buffers, open.bytes]);
    expect([gone.buffers, gone.bytes, gone.engines, gone.runs]).toEqual([freed.buffers, freed.bytes, 0, 0]);
  }
  expect(rounds.at(-1)[1].wasm_bytes, 'the program grows once').toBeLessThanOrEqual(rounds[1][1].wasm_bytes);
});
