/** What docs/embedding.md tells authors to write works as it stands there, and it tells of everything that there is. */
import { readFileSync } from 'node:fs';
import { expect, test } from '@playwright/test';
import { done, host } from '../machines.js';

const DOCS = readFileSync(new URL('../../../docs/embedding.md', import.meta.url), 'utf8');
const blocks = (language) => [...DOCS.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 'gs'))].map(([, code]) => code);
/** What stands in the first column of the table of attributes. */
const ATTRIBUTES = [...DOCS.matchAll(/^\| (`.*?`) \|/gm)].flatMap(([, names]) => [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name));

test('every script runs to its end, and says what it should', async ({ page }) => {
  const said = [];
  page.on('console', (message) => said.push(message.text()));
  const [element, engine] = blocks('js');
  expect(blocks('js')).toHaveLength(2);
  for (const [name, code] of [['element', element], ['engine', engine]]) {
    await page.route(`**/docs-${name}.js`, (route) => route.fulfill({ contentType: 'text/javascript', body: code }));
    await host(page, '');
    await page.evaluate((file) => import(file), `/docs-${name}.js`);
  }
  expect(said.find((line) => line.includes(' steps: '))).toMatch(/^\d+ steps: Où est le chat \? \[EOS\]$/);
  expect(said.some((line) => /^causal 6 \d+ causal$/.test(line)), 'the description').toBe(true);
  expect(said.some((line) => line.startsWith('chosen cpu'))).toBe(true);
  expect(said.some((line) => line.startsWith('[101') && line.endsWith('true')), 'the painted key has no attention').toBe(true);
  expect(said.filter((line) => /Error|undefined|NaN/.test(line))).toEqual([]);
});

test('the element of the page works, and its attributes are those that the element reads', async ({ page }) => {
  const [, markup] = blocks('html');
  await host(page, markup.replace(/<script.*<\/script>/, '').replace('<unmasked-demo', '<unmasked-demo device="cpu"'));
  await done(page);
  const observed = await page.evaluate(() => customElements.get('unmasked-demo').observedAttributes);
  // What the page alone sets of its own machines.
  const own = ['enlarged', 'enlargeable'];
  expect([...ATTRIBUTES].sort()).toEqual(observed.filter((name) => !own.includes(name)).sort());
  const [methods] = /Methods: (.*?)\. To be read/s.exec(DOCS).slice(1);
  for (const [, name] of methods.matchAll(/`(\w+)\(/g)) expect(await page.locator('unmasked-demo').evaluate((demo, method) => typeof demo[method], name), name).toBe('function');
  const [read] = /To be read: (.*?)\. `files`/s.exec(DOCS).slice(1);
  const names = [...read.replace(/\(.*?\)/gs, '').matchAll(/`(\w+)`/g)].map(([, name]) => name);
  expect(names).toHaveLength(9);
  for (const name of names) expect(await page.locator('unmasked-demo').evaluate((demo, property) => property in demo, name), name).toBe(true);
});

test('the frame shows what its address says', async ({ page }) => {
  const [frame] = blocks('html');
  const [, query] = /embed\.html(\?[^"]+)"/.exec(frame);
  await page.goto(`/embed.html${query}&device=cpu`);
  await done(page);
  const demo = page.locator('unmasked-demo');
  await expect(demo).toHaveAttribute('architecture', 'prefix');
  await expect(demo.locator('.about')).toBeHidden();
  await expect(demo.locator('.candidates')).toBeVisible();
});
