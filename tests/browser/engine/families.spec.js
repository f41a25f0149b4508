/**
 * Every family in a real browser, against the numbers of its reference. Natively, and to closer bounds: tests/families/.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@playwright/test';
import { certain, distance } from '../golden.js';
import { chooseFiles, onEnginePage } from './page.js';

const FAMILIES = fileURLToPath(new URL('../../golden/families/', import.meta.url));
/** What the engine calls a head, and what its golden numbers are called. */
const HEADS = { pair: 'pair_scores', replaced: 'replaced', classes: 'classes' };

onEnginePage();

const device = () => (test.info().project.name === 'webgpu' ? 'webgpu' : 'cpu');

/** What a golden case asks for. */
function requestOf({ ids, text, pair, target_ids: targetIds, mask: rule, attention }) {
  const [site] = Object.keys(attention);
  return {
    ...(text ? { text, pair: pair ?? undefined } : { ids }), targetIds, mask: rule ? { [site]: { rule } } : undefined,
    watch: { layers: 'all', heads: 'all', rows: 'all', what: ['attention', 'logits'] },
  };
}

for (const model of readdirSync(FAMILIES)) {
  test(`${model}: logits, attention, heads and greedy ids are the reference's`, async ({ page }) => {
    await chooseFiles(page, FAMILIES + model);
    const loaded = await page.evaluate(async (device) => {
      const files = [.../** @type {HTMLInputElement} */ (document.querySelector('#files')).files ?? []];
      window.engine = await window.unmasked.loadEngine(files, { device });
      return window.engine.device.backend;
    }, device());
    expect(loaded).toBe(device() === 'webgpu' ? 'gpu' : 'cpu');
    const { cases } = JSON.parse(readFileSync(`${FAMILIES}${model}/golden.json`, 'utf8'));
    expect(cases.length).toBeGreaterThan(1);
    for (const [at, example] of cases.entries()) {
      const { forward, steps } = await page.evaluate(async ([request, count]) => {
        const { forward } = await window.engine.forward(request);
        const steps = [];
        if (count) for await (const { chosen } of window.engine.generate({ ...request, maxNewTokens: count, watch: { what: [] } })) steps.push(chosen);
        return { forward, steps };
      }, [requestOf(example), example.greedy?.length ?? 0]);
      const heads = [['logits', forward.logits, example.logits], ...Object.entries(HEADS).map(([head, golden]) => [head, forward.heads?.[head], example[golden]])]
        .filter(([, , expected]) => expected);
      expect(heads.length, `case ${at}: heads`).toBeGreaterThan(0);
      for (const [head, got, expected] of heads) {
        const { difference, largest } = distance(got, expected, `case ${at}: ${head}`);
        expect(difference, `case ${at}: ${head}`).toBeLessThanOrEqual(1e-4 * largest);
      }
      for (const [site, expected] of Object.entries(example.attention)) {
        const where = `case ${at}: attention of the ${site}`;
        expect(distance(forward.attention[site], expected, where).difference, where).toBeLessThanOrEqual(1e-4);
      }
      if (!example.greedy) continue;
      const sure = certain(example.greedy_margin);
      expect(steps.slice(0, sure), `case ${at}: greedy ids`).toEqual(example.greedy.slice(0, sure));
    }
  });
}
