/** A model of so many layers and heads that a GPU does not bring all of their attention back at once. */
import { rmSync } from 'node:fs';
import { expect, test } from '@playwright/test';
import { gpt2, writeModel } from '../../bench/random.mjs';
import { distance } from '../golden.js';
import { opened } from '../machines.js';

const LAYERS = 17;
const HEADS = 64;
/** So long that the attention of all heads would be more than a GPU brings back, with the new tokens. */
const TEXT = Array.from({ length: 54 }, (_, at) => `t${5 + at * 7 % 280}`).join(' ');

/** On a machine that is busy. What is asked for does not depend on the device, and a software adapter takes minutes for so many heads. */
const SLOW = { timeout: 90_000 };

/** open.html with the large model on its causal place. */
async function show(page, info) {
  const folder = info.outputPath('model');
  writeModel(folder, gpt2({ vocabulary: 300, width: 128, heads: HEADS, layers: LAYERS, positions: 128 }), 'f16');
  await page.goto(`/open.html#lang=en&device=cpu&on=none&text=${encodeURIComponent(TEXT)}`);
  await expect(page.locator('html')).toHaveAttribute('data-ready', 'true');
  await page.locator('#open [data-choose="files"]').setInputFiles(['config.json', 'tokenizer.json', 'model.safetensors'].map((name) => `${folder}/${name}`));
  await expect(page.locator('#open .card')).toBeVisible({ timeout: 90_000 });
  await page.locator('#open .card [data-choice="max"]').selectOption('10');
  const demo = opened(page, 'causal');
  await expect.poll(() => demo.evaluate((element) => (element.phase === 'done' ? element.timeline.length : element.error?.message)), SLOW).toBe(10);
  rmSync(folder, { recursive: true });
  return demo;
}

/** Layers and heads of which every step tells. */
const held = (demo) => demo.evaluate((element) => {
  const { steps } = element.timeline;
  const tells = (layer, head) => steps.every(({ rows, attention }) => attention?.decoder[layer]?.[head]?.length === rows.length);
  const layers = Array.from({ length: 17 }, (_, layer) => Array.from({ length: 64 }, (__, head) => tells(layer, head)));
  return layers.flatMap((heads, layer) => (heads.every(Boolean) ? [layer] : []));
});

/** What its steps tell of a layer, a matrix a head, beside what one pass over the whole text tells of it. */
const compared = (demo, layer) => demo.evaluate(async (element, layer) => {
  const { header, steps } = element.timeline;
  const { loadEngine } = await import('/engine.js');
  const engine = await loadEngine(element.files, { device: element.getAttribute('device') });
  const { forward } = await engine.forward({ ids: [...header.tokens.map(({ id }) => id), ...steps.slice(0, -1).map(({ chosen }) => chosen)], watch: { layers: [layer], heads: 'all', rows: 'all', what: ['attention'] } });
  engine.free();
  const expected = forward.attention.decoder[0];
  const count = expected[0].length;
  const got = expected.map((_, head) => {
    const rows = [];
    for (const step of steps) step.rows.forEach((row, at) => { rows[row] = [...step.attention.decoder[layer][head][at], ...Array(count).fill(0)].slice(0, count); });
    return rows;
  });
  return { got, expected };
}, layer);

test.setTimeout(300_000);

test('it runs, shows the chosen layer, and tells of another when it is chosen, at rest and while it writes', async ({ page }, info) => {
  const demo = await show(page, info);
  expect(await held(demo)).toEqual([LAYERS - 1]);
  const chosen = () => demo.evaluate((element) => element.timeline.steps.map((step) => step.chosen));
  const before = await chosen();
  const chooseLayer = page.locator('#settings').getByLabel('Layer');
  await chooseLayer.selectOption('3');
  await expect.poll(() => held(demo), SLOW).toEqual([2, LAYERS - 1]);
  // Of many choices in a row the last one counts.
  for (const layer of ['1', '4', '3', '1', '2']) await chooseLayer.selectOption(layer);
  await expect.poll(async () => (await held(demo)).includes(1), SLOW).toBe(true);
  for (const layer of [1, 2]) {
    const { got, expected } = await compared(demo, layer);
    expect(distance(got, expected, `layer ${layer}`).difference).toBeLessThanOrEqual(1e-5);
  }
  expect(await chosen()).toEqual(before);
  expect(await demo.evaluate((element) => element.phase)).toBe('done');

  // The same run again, and a choice in the middle of it: what the page asks for after the first step is held back until then.
  await demo.evaluate((element) => new Promise((ready) => {
    const { timeline } = element;
    const post = Worker.prototype.postMessage;
    let chosen = Promise.resolve();
    Worker.prototype.postMessage = function postMessage(...message) {
      chosen.then(() => post.apply(this, message));
      if (message[0]?.method !== 'next' || element.timeline.length > 0) return;
      chosen = new Promise((done) => {
        element.addEventListener('unmasked-change', function look() {
          if (element.timeline === timeline || element.phase !== 'running' || element.timeline.length === 0) return;
          element.removeEventListener('unmasked-change', look);
          Worker.prototype.postMessage = post;
          element.setAttribute('layer', '1');
          done(undefined);
          ready(undefined);
        });
      });
    };
    element.setAttribute('temperature', '0.0');
  }));
  await expect.poll(() => demo.evaluate((element) => `${element.phase} ${element.timeline.length}`), SLOW).toBe('done 10');
  await expect.poll(async () => (await held(demo)).includes(0), SLOW).toBe(true);
  expect(await chosen()).toEqual(before);
  const { got, expected } = await compared(demo, 0);
  expect(distance(got, expected, 'layer 1').difference).toBeLessThanOrEqual(1e-5);

  await demo.evaluate((element) => { element.seek(4); element.force(element.timeline.steps[4].candidates[3].id); });
  await expect.poll(() => demo.evaluate((element) => `${element.phase} ${element.timeline.length}`), SLOW).toBe('done 10');
  expect(await held(demo)).toContain(0);
  expect((await chosen()).slice(0, 4)).toEqual(before.slice(0, 4));
  expect((await chosen())[4]).not.toBe(before[4]);
});
