/** Where there is no GPU to be had, each reason is told by its name, and the CPU computes. Fakes are made from a real adapter. */
import { expect, test } from '@playwright/test';
import { ADAPTERS, featureless, startWorker } from '../worker.js';
import { onEnginePage } from './page.js';

onEnginePage();

/** What is said of the device, after a step was computed on it. */
const tell = (page, device) => page.evaluate(async (device) => {
  const engine = await window.unmasked.loadEngine('/models/en-fr-causal/', { device });
  const chosen = [];
  for await (const step of engine.generate({ text: 'Thank you!', maxNewTokens: 2 })) chosen.push(step.chosen);
  const told = { ...engine.device, steps: chosen.length };
  engine.free();
  return told;
}, device);

const SAYS = {
  'no-adapter': /offers no adapter/,
  refused: /expected a device, got a refusal/,
  limits: /expected 8 storage buffers a stage, got 4/,
};

for (const [cause, says] of Object.entries(SAYS)) {
  test(`${cause}: the CPU instead, and why`, { tag: '@gpu-only' }, async ({ page }) => {
    const worker = await startWorker(page);
    await worker.evaluate(ADAPTERS[cause]);
    for (const device of ['webgpu', 'auto']) {
      const told = await tell(page, device);
      expect(told).toMatchObject({ backend: 'cpu', cause });
      expect(told.reason).toMatch(says);
      expect(told.steps).toBeGreaterThan(0);
    }
  });
}

test('no WebGPU in the worker: it matters whether the window has it', { tag: '@gpu-only' }, async ({ page }) => {
  const worker = await startWorker(page);
  await worker.evaluate(ADAPTERS['no-webgpu']);
  expect(await tell(page, 'webgpu')).toMatchObject({ backend: 'cpu', cause: 'window-only' });
  await page.evaluate(() => { Object.defineProperty(navigator, 'gpu', { value: undefined }); });
  expect(await tell(page, 'auto')).toMatchObject({ backend: 'cpu', cause: 'no-webgpu' });
});

test('a software adapter is used where it is asked for by name only', { tag: '@gpu-only' }, async ({ page }) => {
  expect(await tell(page, 'auto')).toMatchObject({ backend: 'cpu', cause: 'software-adapter' });
  expect(await tell(page, 'webgpu')).toMatchObject({ backend: 'gpu', cause: 'software', software: true });
});

test('half floats and subgroups are not needed', { tag: '@gpu-only' }, async ({ page }) => {
  const worker = await startWorker(page);
  await worker.evaluate(featureless);
  const told = await tell(page, 'webgpu');
  expect(told).toMatchObject({ backend: 'gpu', lacks: ['shader-f16', 'subgroups'] });
  expect(told.steps).toBeGreaterThan(0);
});

test('a page from another machine by plain http is told so', { tag: '@gpu-only' }, async ({ page, baseURL }) => {
  // The name belongs to nobody; what it serves comes from the server of the tests.
  await page.route('http://lan.test/**', async (route) => {
    const { pathname, search } = new URL(route.request().url());
    await route.fulfill({ response: await route.fetch({ url: new URL(pathname + search, baseURL).href }) });
  });
  await page.goto('http://lan.test/__test__/engine.html');
  await expect(page.locator('html')).toHaveAttribute('data-ready', 'true');
  expect(await page.evaluate(() => isSecureContext)).toBe(false);
  const told = await tell(page, 'webgpu');
  expect(told).toMatchObject({ backend: 'cpu', cause: 'insecure' });
  expect(told.reason).toMatch(/https or 127\.0\.0\.1/);
});
