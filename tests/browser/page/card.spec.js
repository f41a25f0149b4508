/** A model from elsewhere on open.html: its card, what it can be asked for, and its place beside the quartet. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@playwright/test';
import { startHub } from '../hub.js';
import { answer, done, drawn, machine, opened } from '../machines.js';

const FAMILIES = fileURLToPath(new URL('../../golden/families/', import.meta.url));
const TEXT = 'text=w5+w7+w9+w4+w6';

const panel = (page) => page.locator('#open');
const card = (page, architecture) => panel(page).locator(`.card[data-architecture="${architecture}"]`);
const field = (page, architecture, name) => card(page, architecture).locator(`[data-choice="${name}"]`);
const settings = (name) => JSON.parse(readFileSync(`${FAMILIES}${name}/config.json`, 'utf8'));

/** Opens a golden checkpoint as a folder of the person's own. */
async function openModel(page, name, state = `lang=en&device=cpu&${TEXT}`) {
  if (state !== null) {
    await page.goto(`/open.html#${state}`);
    await expect(page.locator('html')).toHaveAttribute('data-ready', 'true');
  }
  await panel(page).locator('[data-choose="folder"]').setInputFiles(`${FAMILIES}${name}`);
  await expect(panel(page).locator('.told')).toContainText(`from the folder “${name.split('/').at(-1)}”.`);
  await done(page);
}

/** The card's lines, by name. */
const factsOf = async (page, architecture) => Object.fromEntries(await card(page, architecture).locator('.facts div')
  .evaluateAll((lines) => lines.map((line) => [line.children[0].textContent, line.children[1].textContent])));
/** The ids that a machine read, and the mask of the block that it is named by. */
const readBy = (element) => element.evaluate((demo) => demo.timeline.header.tokens.map(({ id }) => id));
const notes = (page, architecture) => card(page, architecture).locator('.notes p');

const CARDS = {
  'bert-pretraining': ['encoder', { Layers: '2', Norm: 'LayerNorm after each part', Positions: 'learned; up to 30', 'Output matrix': 'the token table (tied)', 'Trained for': 'fill blanks, compare two sentences', Licence: 'not stated' }],
  gpt2: ['causal', { Layers: '3', Heads: '3, 9 columns each', Norm: 'LayerNorm before each part', Vocabulary: '61', 'Trained for': 'continue', 'Not trained for': 'translate, summarise' }],
  t5: ['encoder-decoder', { Layers: 'encoder 1; decoder 2', Norm: 'RMSNorm before each part', Positions: 'relative (8 buckets, to 14); up to 512', Perhaps: 'translate, summarise' }],
  llama: ['causal', { Heads: '6, 6 columns each', 'K/V heads': '3', Positions: 'rotary; up to 64', 'Feed-forward': 'SiLU, gated', 'Output matrix': 'of its own' }],
  'glm-blank': ['prefix', { Positions: 'learned, in two parts: in the text, and in the gap; up to 31', 'Trained for': 'fill a gap' }],
};
const NAMES = { 'bert-pretraining': 'BERT', gpt2: 'GPT-2', t5: 'T5', llama: 'LLaMA', 'glm-blank': 'GLM' };

for (const [name, [architecture, expected]] of Object.entries(CARDS)) {
  test(`the card of ${NAMES[name]} says what it is`, async ({ page }) => {
    await openModel(page, name, `lang=en&device=cpu&on=none&${TEXT}`);
    const facts = await factsOf(page, architecture);
    expect(facts).toMatchObject(expected);
    expect(facts.Family).toBe(`${NAMES[name]} (${settings(name).model_type})`);
    expect('K/V heads' in facts).toBe(name === 'llama');
    expect(facts['Stored as']).toMatch(name === 'bert-pretraining' ? /^bf16, / : /^(f32|f16|bf16), /);
    await expect(card(page, architecture).locator('h3')).toHaveText(NAMES[name]);
    await expect(opened(page, architecture).locator('.name')).toHaveText(NAMES[name]);
  });
}

test('a licence is the one that its own card names, and is kept with it', async ({ page }) => {
  const hub = await startHub({ 'owner/gpt2': { family: 'gpt2', card: '---\nlicense: mit\n---\n# A small GPT-2\n' } }, { secure: true });
  try {
    await page.goto(`/open.html?hub=${encodeURIComponent(hub.url)}#lang=en&device=cpu&on=none&${TEXT}`);
    await page.locator('#address').fill('hub:owner/gpt2');
    await page.locator('#address').press('Enter');
    await expect(panel(page).locator('.kept li')).toHaveCount(1);
    expect((await factsOf(page, 'causal')).Licence).toBe('mit');
    const asked = hub.asked.length;
    await page.reload();
    await page.locator('#address').fill('hub:owner/gpt2');
    await page.locator('#address').press('Enter');
    await expect(card(page, 'causal')).toBeVisible();
    expect((await factsOf(page, 'causal')).Licence).toBe('mit');
    expect(hub.asked).toHaveLength(asked);
  } finally {
    await hub.close();
  }
});
test.use({ ignoreHTTPSErrors: true });

test('a BERT fills, compares, and says under which mask it was never trained', async ({ page }) => {
  await openModel(page, 'bert-pretraining');
  const bert = opened(page, 'encoder');
  expect(await bert.evaluate((demo) => demo.blanked.length)).toBe(1);
  await bert.locator('.chip', { hasText: /^w7$/ }).click();
  await expect.poll(() => bert.evaluate((demo) => demo.getAttribute('blanks').split(' ').length)).toBe(2);
  await done(page);
  // The quartet's own blanks are others.
  expect(await machine(page, 'encoder').getAttribute('blanks')).toBe(null);

  await field(page, 'encoder', 'at').selectOption({ label: 'compare two sentences' });
  await field(page, 'encoder', 'second').fill('w8 w9');
  await expect(bert.locator('.hint')).toContainText('The pair head');
  expect(await bert.evaluate((demo) => demo.blanked.length)).toBe(0);
  await expect(notes(page, 'encoder')).toHaveText(['Trained to say whether two sentences belong together. Write the second one; the answer stands under its matrix.']);
  const sees = () => bert.evaluate((demo) => demo.timeline.frame(0).blocks[0].visible(0, 2));
  expect(await sees()).toBe(true);
  await field(page, 'encoder', 'rule').selectOption('causal');
  await expect(notes(page, 'encoder').last()).toContainText('not trained under this mask');
  await expect.poll(sees).toBe(false);
  await field(page, 'encoder', 'rule').selectOption('prefix');
  await expect.poll(sees).toBe(true);
  const last = await bert.evaluate((demo) => demo.timeline.header.tokens.length - 1);
  expect(await bert.evaluate((demo, key) => demo.timeline.frame(0).blocks[0].visible(0, key), last)).toBe(false);
});

test('classes and replaced tokens are told under the matrix', async ({ page }) => {
  await openModel(page, 'bert-classes', `lang=en&device=cpu&on=none&${TEXT}`);
  await expect(opened(page, 'encoder').locator('.hint')).toHaveText(/^Classes, by their logits: LABEL_\d -?\d+\.\d · LABEL_\d -?\d+\.\d · LABEL_\d -?\d+\.\d\.$/);
  await expect(opened(page, 'encoder').locator('.candidates-title')).toHaveText('No head here fills blanks.');
  await openModel(page, 'electra-discriminator', null);
  const electra = opened(page, 'encoder');
  await expect(electra.locator('.hint')).toContainText(/look replaced|looks replaced/);
  const doubted = await electra.locator('.chip[data-doubted]').count();
  await expect(electra.locator('.hint')).toContainText(doubted ? 'logits above 0' : 'No token');
});

test('a GPT-2 writes as much as it is asked to, and is said not to translate', async ({ page }) => {
  await openModel(page, 'gpt2', `lang=en&device=cpu&on=none&${TEXT}`);
  const gpt2 = opened(page, 'causal');
  await field(page, 'causal', 'max').selectOption('10');
  await expect.poll(async () => (await answer(gpt2)).length).toBeLessThanOrEqual(10);
  await done(page);
  await field(page, 'causal', 'at').selectOption({ label: 'translate (not trained for it)' });
  await expect(notes(page, 'causal')).toContainText(['Not trained to translate']);
  await field(page, 'causal', 'text').fill('w3 w3');
  await expect.poll(() => readBy(gpt2)).toEqual([3, 3]);
  await field(page, 'causal', 'rule').selectOption('prefix');
  await expect.poll(() => gpt2.evaluate((demo) => demo.timeline.frame(0).blocks[0].visible(0, 1))).toBe(true);
});

test('a T5 gets its prefix, a GLM its blank', async ({ page }) => {
  await openModel(page, 't5');
  const t5 = opened(page, 'encoder-decoder');
  const prefixed = await readBy(t5);
  await expect(notes(page, 'encoder-decoder')).toContainText(['Its files do not say that it was trained to translate']);
  await field(page, 'encoder-decoder', 'prefix').selectOption({ label: 'none' });
  await expect.poll(async () => (await readBy(t5)).length).toBe(prefixed.length - 4);
  await done(page);
  // The quartet reads the sentence without a prefix.
  expect(await machine(page, 'encoder-decoder').getAttribute('text')).toBe('w5 w7 w9 w4 w6');

  await openModel(page, 'glm-blank', null);
  const glm = opened(page, 'prefix');
  expect(await glm.getAttribute('text')).toBe('w5 w7 w9 w4 w6 [MASK]');
  await field(page, 'prefix', 'blank').selectOption('[gMASK]');
  await expect.poll(() => glm.getAttribute('text')).toBe('w5 w7 w9 w4 w6 [gMASK]');
  await field(page, 'prefix', 'text').fill('w5 [MASK] w6');
  await expect.poll(() => glm.getAttribute('text')).toBe('w5 [MASK] w6');
  await done(page);
});

/** How each family spells a language, and where the token of the one that is chosen goes. */
const LANGUAGES = {
  mbart: { spelled: ['fr_XX', 'zh_CN'], codes: ['fr_XX', 'zh_CN'], place: 'target' },
  marian: { spelled: ['>>fra<<', '>>cmn<<'], codes: ['cmn', 'fra'], place: 'tokens' },
};

for (const [name, { spelled, codes, place }] of Object.entries(LANGUAGES)) {
  test(`${name} answers in the language that is chosen`, async ({ page }) => {
    await page.goto(`/open.html#lang=en&device=cpu&on=none&${TEXT}`);
    await expect(page.locator('html')).toHaveAttribute('data-ready', 'true');
    // Its small vocabulary has words only: two of them are languages from here on.
    const tokenizer = readFileSync(`${FAMILIES}${name}/tokenizer.json`, 'utf8').replace('"w46"', JSON.stringify(spelled[0])).replace('"w47"', JSON.stringify(spelled[1]));
    const files = ['config.json', 'model.safetensors'].map((file) => ({ name: file, mimeType: 'application/octet-stream', buffer: readFileSync(`${FAMILIES}${name}/${file}`) }));
    await panel(page).locator('[data-choose="files"]').setInputFiles([...files, { name: 'tokenizer.json', mimeType: 'application/json', buffer: Buffer.from(tokenizer) }]);
    const demo = opened(page, 'encoder-decoder');
    await expect(demo).toHaveCount(1);
    await done(page);
    const language = field(page, 'encoder-decoder', 'language');
    await expect(language.locator('option')).toHaveText(['as its files say', ...codes]);
    const read = () => demo.evaluate((element) => {
      const { tokens, target } = element.timeline.header;
      return { tokens: tokens.map(({ id }) => id), target: target.map(({ id }) => id), answer: element.timeline.steps.map(({ chosen }) => chosen) };
    });
    const own = await read();
    await expect(demo).not.toHaveAttribute('language');
    const ids = { [spelled[0]]: 46, [spelled[1]]: 47 };
    for (const code of codes) {
      const id = ids[spelled.find((one) => one.includes(code)) ?? ''];
      await language.selectOption({ label: code });
      await expect(demo).toHaveAttribute('language', String(id));
      await expect.poll(async () => (await read())[place]).toContain(id);
      await done(page);
      const chosen = await read();
      expect(chosen.tokens).toEqual(place === 'tokens' ? [id, ...own.tokens] : own.tokens);
      expect(chosen.target).toEqual(place === 'target' ? [...own.target, id] : own.target);
      // What it writes is what the engine writes where these very tokens are given.
      const given = await demo.evaluate(async (element, { tokens, target }) => {
        const { loadEngine } = await import('/engine.js');
        const engine = await loadEngine(element.files, { device: 'cpu' });
        const steps = [];
        for await (const step of engine.generate({ ids: tokens, targetIds: target, maxNewTokens: element.timeline.length, watch: { what: [] } })) steps.push(step.chosen);
        engine.free();
        return steps;
      }, chosen);
      expect(chosen.answer).toEqual(given);
    }
    await language.selectOption({ label: 'as its files say' });
    await expect.poll(read).toEqual(own);
    await page.locator('#lang').click();
    await expect(card(page, 'encoder-decoder').locator('.chooser', { has: page.locator('[data-choice="language"]') })).toContainText('译');
  });
}

test('mBART reads its text as the language that is chosen', async ({ page }) => {
  await page.goto(`/open.html#lang=en&device=cpu&on=none&${TEXT}`);
  await expect(page.locator('html')).toHaveAttribute('data-ready', 'true');
  // As mBART-50 has it: the language, the text, the end.
  const tokenizer = readFileSync(`${FAMILIES}mbart/tokenizer.json`, 'utf8').replaceAll('"<s>"', '"en_XX"').replace('"w46"', '"fr_XX"');
  const files = ['config.json', 'model.safetensors'].map((file) => ({ name: file, mimeType: 'application/octet-stream', buffer: readFileSync(`${FAMILIES}mbart/${file}`) }));
  await panel(page).locator('[data-choose="files"]').setInputFiles([...files, { name: 'tokenizer.json', mimeType: 'application/json', buffer: Buffer.from(tokenizer) }]);
  const demo = opened(page, 'encoder-decoder');
  await expect(demo).toHaveCount(1);
  await done(page);
  const from = field(page, 'encoder-decoder', 'from');
  await expect(from.locator('option')).toHaveText(['en_XX, as its files say', 'fr_XX']);
  const read = () => demo.evaluate((element) => element.timeline.header.tokens.map(({ id }) => id));
  const own = await read();
  expect(own[0]).toBe(0);
  await from.selectOption({ label: 'fr_XX' });
  await expect(demo).toHaveAttribute('sourcelanguage', '46');
  await expect.poll(read).toEqual([46, ...own.slice(1)]);
  await done(page);
  await from.selectOption({ label: 'en_XX, as its files say' });
  await expect.poll(read).toEqual(own);
});

test('a model from elsewhere and its counterpart stand side by side, under one clock', async ({ page }) => {
  await openModel(page, 'gpt2');
  await expect(page.locator('unmasked-demo')).toHaveCount(2);
  await expect(page.locator('.toggle')).toHaveCount(5);
  const [gpt2, causal] = [opened(page, 'causal'), machine(page, 'causal')];
  const boxes = await Promise.all([gpt2, causal].map((demo) => demo.boundingBox()));
  expect(boxes[0].y).toBe(boxes[1].y);
  expect(boxes[0].x).toBeLessThan(boxes[1].x);
  await page.locator('#dock [data-action="step"]').click();
  expect(await Promise.all([gpt2, causal].map((demo) => demo.evaluate(({ position }) => position)))).toEqual([1, 1]);
  await page.locator('#sentence').fill('w3 w4');
  for (const demo of [gpt2, causal]) await expect(demo).toHaveAttribute('text', 'w3 w4');
  await done(page);
  // Its switch hides it and brings it back, with its card and what was chosen.
  await field(page, 'causal', 'max').selectOption('10');
  await page.locator('.toggle', { hasText: 'GPT-2' }).click();
  await expect(gpt2).toHaveCount(0);
  await expect(card(page, 'causal')).toBeVisible();
  await page.locator('.toggle', { hasText: 'GPT-2' }).click();
  await expect(gpt2).toHaveAttribute('max', '10');
  await done(page);
  // All four beside it, those of the second row out of sight; and away.
  for (const name of ['encoder', 'prefix', 'encoder-decoder']) await page.locator(`.toggle[data-place="${name}"]`).click();
  await expect(page.locator('unmasked-demo')).toHaveCount(5);
  await card(page, 'causal').locator('header button').click();
  await expect(page.locator('unmasked-demo')).toHaveCount(4);
  await expect(page.locator('.toggle')).toHaveCount(4);
  await expect(page.locator('#address')).toBeFocused();
});

for (const [width, height] of [[1280, 800], [1920, 1080], [390, 844]]) {
  test(`nothing is wider than the page at ${width}`, async ({ page }) => {
    await page.setViewportSize({ width, height });
    await page.goto(`/open.html#lang=en&device=cpu&on=encoder,causal,prefix,encoder-decoder&head=all&${TEXT}`);
    await panel(page).locator('[data-choose="folder"]').setInputFiles(`${FAMILIES}llama`);
    await expect(page.locator('unmasked-demo')).toHaveCount(5);
    // On a phone nothing runs that is not in view.
    await opened(page, 'causal').scrollIntoViewIfNeeded();
    await expect.poll(() => opened(page, 'causal').evaluate((demo) => demo.phase)).toBe('done');
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    await page.locator('#lang').click();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
  });
}

test('painted cells stay with a text of the model’s own, and go with the page’s sentence', async ({ page }) => {
  await openModel(page, 'gpt2', `lang=en&device=cpu&on=none&${TEXT}`);
  const element = opened(page, 'causal');
  const sentence = page.locator('#sentence');
  const paint = async () => {
    await done(page);
    await element.locator('[data-action="paint"]').click();
    await element.locator('.mask').focus();
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('Enter');
    await element.locator('[data-action="paint"]').click();
    await expect(element).toHaveAttribute('edits', /./);
  };
  await paint();
  await sentence.fill('w5 w7 w9');
  await expect(element).not.toHaveAttribute('edits', /./);
  await field(page, 'causal', 'text').fill('w4 w6 w8');
  await paint();
  await sentence.fill('w5 w7');
  await page.waitForTimeout(600);
  await expect(element).toHaveAttribute('edits', /./);
  await field(page, 'causal', 'text').fill('w4 w6');
  await expect(element).not.toHaveAttribute('edits', /./);
});

test('paper names each model from elsewhere', async ({ page }) => {
  await openModel(page, '../../../www/models/en-fr-causal', 'lang=en&device=cpu&on=causal&text=Thank+you!');
  await page.emulateMedia({ media: 'print' });
  await expect(card(page, 'causal').locator('.source')).toBeVisible();
  await expect(card(page, 'causal').locator('.asks')).toBeHidden();
  await expect(panel(page).locator('.ways')).toBeHidden();
  const names = await Promise.all([opened(page, 'causal'), machine(page, 'causal')].map((demo) => demo.evaluate((node) => [node.shadowRoot.querySelector('.name').textContent, getComputedStyle(node, '::before').content])));
  expect(names).toEqual([['Causal decoder (en-fr-causal)', '"en-fr-causal"'], ['Causal decoder', 'none']]);
});

test('models of the page’s own kind are told apart wherever they are named', async ({ page }) => {
  await openModel(page, '../../../www/models/en-fr-prefix', 'lang=en&device=cpu&text=Thank+you!');
  await openModel(page, '../../../www/models/zh-en-encoder', null);
  const called = ['Encoder-only (zh-en-encoder)', 'Encoder-only', 'Prefix decoder (en-fr-prefix)', 'Prefix decoder'];
  const headings = () => page.locator('unmasked-demo').evaluateAll((demos) => demos.map((demo) => demo.shadowRoot.querySelector('.name').textContent));
  expect(await headings()).toEqual(called);
  for (const name of called) await expect(page.getByRole('button', { name: `Enlarge ${name}`, exact: true })).toHaveCount(1);
  await expect(page.locator('.toggle')).toHaveText([...called.slice(0, 2), 'Causal decoder', ...called.slice(2), 'Encoder–decoder']);
  await expect(card(page, 'prefix').locator('header button')).toHaveAccessibleName('Put Prefix decoder (en-fr-prefix) away: it leaves the page');
  await page.keyboard.press('Escape');
  await page.locator('#lang').click();
  await drawn(page);
  expect((await headings())[0]).toBe('仅编码器（zh-en-encoder）');
});
