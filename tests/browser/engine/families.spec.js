/**
 * Other families in a real browser, against the numbers of their references: a prefix decoder with positions in two
 * parts, one whose prefix is asked for, an encoder of pairs and one under another mask. All of them natively: tests/families/.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@playwright/test';
import { certain, distance } from '../golden.js';
import { chooseFiles, onEnginePage } from './page.js';

const FAMILIES = fileURLToPath(new URL('../../golden/families/', import.meta.url));
const MODELS = { 'glm-blank': 'prefix', 'palm-prefix': 'prefix', bert: 'encoder', unilm: 'encoder' };

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

for (const [model, architecture] of Object.entries(MODELS)) {
  test(`${model}: logits, attention and greedy ids are the reference's`, async ({ page }) => {
    await chooseFiles(page, FAMILIES + model);
    const loaded = await page.evaluate(async (device) => {
      const files = [.../** @type {HTMLInputElement} */ (document.querySelector('#files')).files ?? []];
      window.engine = await window.unmasked.loadEngine(files, { device });
      return { architecture: window.engine.describe().architecture, backend: window.engine.device.backend };
    }, device());
    expect(loaded).toEqual({ architecture, backend: device() === 'webgpu' ? 'gpu' : 'cpu' });
    const { cases } = JSON.parse(readFileSync(`${FAMILIES}${model}/golden.json`, 'utf8'));
    expect(cases.length).toBeGreaterThan(1);
    for (const [at, example] of cases.entries()) {
      const { forward, steps } = await page.evaluate(async ([request, count]) => {
        const { forward } = await window.engine.forward(request);
        const steps = [];
        if (count) for await (const { chosen } of window.engine.generate({ ...request, maxNewTokens: count, watch: { what: [] } })) steps.push(chosen);
        return { forward, steps };
      }, [requestOf(example), example.greedy?.length ?? 0]);
      const logits = distance(forward.logits, example.logits, `case ${at}: logits`);
      expect(logits.difference, `case ${at}: logits`).toBeLessThanOrEqual(1e-4 * logits.largest);
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
