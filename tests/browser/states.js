/**
 * Every state that the page can be in for long enough to be seen: `screenshots` draws them on one sheet, and axe looks
 * for faults in each. A state opens the page and brings it there; `show(hash, path)` opens it in the theme that is asked.
 */
import { fileURLToPath } from 'node:url';
import { expect } from '@playwright/test';
import { ARCHITECTURES, done, machine, phase } from './machines.js';
import { look } from './masks.js';

const DESKTOP = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };
const PROJECTOR = { width: 1920, height: 1080 };

const text = (sentence) => `text=${encodeURIComponent(sentence)}`;
const SENTENCE = 'My sister wants to learn English.';
/** Longer than what a model reads that keeps room for its answer. */
export const LONG = 'When my brother came home last night he was so tired that he went to bed at once, but the children wanted to play with him in the garden and asked him why he did not want to come out and see what they had made for him while he was away, and so he got up again.';
const WORD = 'Donaudampfschifffahrtsgesellschaftskapit'.slice(0, 40);

/** Opens with a run and goes to its end, or to a step. */
const run = (hash, step = 'g') => async (page, show) => {
  await show(hash);
  await done(page);
  if (step === 'g') await page.keyboard.press('g');
};

/** Chooses another way to train, and waits for what the engine makes of it: until then the one before stands there, fainter. */
const train = async (element, way) => {
  const button = element.locator(`[data-action="way"][data-value="${way}"]`);
  await button.click();
  await expect(button).toHaveAttribute('aria-pressed', 'true');
  await expect(element.locator('.objective-tables[data-waiting]')).toHaveCount(0);
};

/** Keeps a file back: nothing of it comes while the state is looked at. */
const held = (page, pattern) => page.route(pattern, () => {});

/** Models of somebody's own beside the page's: small checkpoints of the tests. */
const openModels = (names, settings = '') => async (page, show) => {
  await show(`${settings}${text('w5 w7 w9 w4 w6')}`, '/open.html');
  for (const name of names) {
    await page.locator('[data-choose="folder"]').setInputFiles(fileURLToPath(new URL(`../golden/families/${name}`, import.meta.url)));
    await expect(page.locator('#open .told')).toContainText(`from the folder “${name}”.`);
  }
  await done(page);
};

/** A model of somebody's own beside the page's, and an address that cannot be followed. */
const openModel = (settings = '') => async (page, show) => {
  await show(`${settings}${text(SENTENCE)}`, '/open.html');
  await page.locator('[data-choose="folder"]').setInputFiles(fileURLToPath(new URL('../golden/families/gpt2', import.meta.url)));
  await expect(page.locator('#open .card')).toHaveCount(1);
  await done(page);
  for (const summary of await page.locator('#open .token summary').all()) await summary.click();
  await page.locator('#address').fill('hub:a model');
  await page.keyboard.press('Enter');
  await expect(page.locator('#open .wrong')).not.toBeEmpty();
};

/** What a browser keeps: a model that is whole, and a long name that broke off. */
const KEPT = [
  { source: 'hub:owner/gpt2', bytes: 548_000_000, whole: true },
  { source: 'hub:an-owner-with-a-name/a-model-whose-name-says-all-of-it-v2@refs/pr/12', bytes: 67_108_864, whole: false },
].map(({ source, bytes, whole }) => ({
  source, whole, commit: '0123456789abcdef0123456789abcdef01234567', date: '2026-11-25T12:00:00.000Z',
  files: [{ name: 'model.safetensors', length: 548_000_000, tag: null, pieces: [{ bytes, hash: '' }] }],
}));

const keptModels = (settings = '') => async (page, show) => {
  await show(settings, '/open.html');
  await page.evaluate(async (kept) => {
    const cache = await caches.open('unmasked models');
    for (const list of kept) await cache.put(`https://kept.invalid/${encodeURIComponent(list.source)}/kept.json`, Response.json(list));
  }, KEPT);
  await page.reload();
  await done(page);
  await page.locator('#open .keeping summary').click();
  await expect(page.locator('#open .kept li')).toHaveCount(KEPT.length);
};

/**
 * What the contact sheet shows and axe looks at.
 * @type {Array<{ name: string, size: { width: number, height: number }, bring: (page: import('@playwright/test').Page, show: (hash?: string, path?: string) => Promise<void>) => Promise<void> }>}
 */
export const STATES = [
  { name: 'first load', size: DESKTOP, bring: async (page, show) => {
    await held(page, '**/models/models.json');
    await show();
  } },
  { name: 'slow network', size: DESKTOP, bring: async (page, show) => {
    await held(page, '**/model.safetensors');
    await show(text(SENTENCE));
    await expect(machine(page, 'causal').locator('progress')).toBeVisible();
    await expect(machine(page, 'causal').locator('.status-detail')).toContainText('MB');
  } },
  { name: 'error', size: DESKTOP, bring: async (page, show) => {
    await page.route('**/en-fr-prefix*/model.safetensors', (route) => route.abort());
    await show(text(SENTENCE));
    await expect.poll(() => phase(machine(page, 'prefix'))).toBe('error');
    await expect.poll(() => phase(machine(page, 'causal'))).toBe('done');
  } },
  { name: 'the list of models is missing', size: DESKTOP, bring: async (page, show) => {
    await page.route('**/models/models.json', (route) => route.fulfill({ status: 404 }));
    await show(text(SENTENCE));
    await expect.poll(() => phase(machine(page, 'prefix'))).toBe('error');
  } },
  { name: 'empty sentence', size: DESKTOP, bring: async (page, show) => {
    await show(text(SENTENCE));
    await done(page);
    await page.locator('#sentence').fill('');
    await expect.poll(() => phase(machine(page, 'encoder-decoder'))).toBe('empty');
  } },
  { name: 'no machine', size: DESKTOP, bring: async (page, show) => { await show('on=none'); } },
  { name: 'one token', size: DESKTOP, bring: run(text('Go')) },
  { name: '64 tokens', size: DESKTOP, bring: run(text(LONG)) },
  { name: 'a word of 40 letters', size: DESKTOP, bring: run(text(WORD)) },
  { name: 'Chinese', size: DESKTOP, bring: run(`${text('我妹妹想学英语。')}&lang=zh`) },
  { name: 'right to left', size: DESKTOP, bring: run(text('אחותי רוצה ללמוד אנגלית. القطة في الحديقة')) },
  { name: 'emoji', size: DESKTOP, bring: run(text('I love you 👩‍👩‍👧‍👦 🇫🇷 ❤️ 🙂!')) },
  { name: 'one machine on', size: DESKTOP, bring: run(`on=causal&${text(SENTENCE)}`) },
  { name: 'two machines on', size: DESKTOP, bring: run(`on=encoder,prefix&${text(SENTENCE)}`) },
  { name: 'three machines on', size: DESKTOP, bring: run(`on=causal,prefix,encoder-decoder&${text(SENTENCE)}`) },
  { name: 'four machines on', size: DESKTOP, bring: run(text(SENTENCE)) },
  { name: 'in the middle of a run', size: DESKTOP, bring: run(`step=3&${text(SENTENCE)}`, 3) },
  { name: 'a token pointed at', size: DESKTOP, bring: async (page, show) => {
    await run(text(SENTENCE))(page, show);
    await machine(page, 'causal').locator('.chip', { hasText: /^wants$/ }).hover();
    await expect(machine(page, 'encoder').locator('.chip[data-sight="self"]')).toHaveCount(1);
  } },
  { name: 'a cell walked to', size: DESKTOP, bring: async (page, show) => {
    await run(`on=prefix&${text(SENTENCE)}`)(page, show);
    await machine(page, 'prefix').locator('.mask').focus();
    for (const key of ['ArrowUp', 'ArrowRight', 'ArrowRight', 'ArrowUp']) await page.keyboard.press(key);
  } },
  { name: 'all heads', size: DESKTOP, bring: run(`head=all&${text(SENTENCE)}`) },
  { name: 'all heads of one machine, a cell walked to', size: DESKTOP, bring: async (page, show) => {
    await run(`on=encoder-decoder&head=all&${text(SENTENCE)}`)(page, show);
    await machine(page, 'encoder-decoder').locator('.mask').focus();
    for (const key of ['ArrowUp', 'ArrowUp', 'ArrowRight', 'ArrowRight']) await page.keyboard.press(key);
  } },
  { name: 'tables', size: DESKTOP, bring: async (page, show) => {
    await run(`on=causal,encoder-decoder&${text(SENTENCE)}`)(page, show);
    for (const name of ['causal', 'encoder-decoder']) await look(machine(page, name), 'table');
  } },
  { name: 'the leak test', size: DESKTOP, bring: async (page, show) => {
    await run(`step=4&${text(SENTENCE)}`, 4)(page, show);
    for (const name of ARCHITECTURES) await look(machine(page, name), 'leak');
    await expect(page.locator('.leak table')).toHaveCount(5);
  } },
  { name: 'who knows what', size: DESKTOP, bring: async (page, show) => {
    await run(`step=4&layer=3&mask=encoder.window:2_causal.${encodeURIComponent('causal+window:3')}&edits=prefix.d2.11s&${text(SENTENCE)}`, 4)(page, show);
    for (const name of ARCHITECTURES) await look(machine(page, name), 'reach');
    await expect(page.locator('.reach-words')).toHaveText([/./, /./, /./, /./]);
  } },
  { name: 'presenter’s view', size: DESKTOP, bring: run(`present=1&step=4&${text(SENTENCE)}`, 4) },
  { name: 'presenter’s view on a projector of 1024, covered', size: { width: 1024, height: 768 }, bring: run(`present=1&cover=1&on=causal,prefix&step=4&${text(SENTENCE)}`, 4) },
  { name: 'for a class', size: DESKTOP, bring: async (page, show) => {
    await run(`cover=1&step=4&${text(SENTENCE)}`, 4)(page, show);
    await page.locator('#present summary').click();
  } },
  { name: 'a lesson of the list', size: DESKTOP, bring: async (page, show) => {
    await run(`lesson=window&layer=3&on=causal&mask=causal.${encodeURIComponent('causal+window:2')}&look=causal.reach`, 0)(page, show);
    await page.locator('#lesson details summary').click();
    await page.locator('#lessons summary').click();
  } },
  { name: 'a second sentence, kept apart from the first by a lesson', size: DESKTOP, bring: run('lesson=pair', 0) },
  { name: 'phone, a lesson of the list', size: PHONE, bring: run(`lang=zh&lesson=masks&on=causal&${text(SENTENCE)}`, 0) },
  { name: 'phone, who knows what', size: PHONE, bring: async (page, show) => {
    await run(`step=4&on=encoder-decoder&look=encoder-decoder.reach&${text(SENTENCE)}`, 4)(page, show);
    await expect(page.locator('.reach-words')).toHaveText(/./);
  } },
  { name: 'phone, the leak test', size: PHONE, bring: async (page, show) => {
    await run(`step=4&on=encoder-decoder&${text(SENTENCE)}`, 4)(page, show);
    await look(machine(page, 'encoder-decoder'), 'leak');
    await expect(page.locator('.leak table')).toHaveCount(2);
  } },
  { name: 'two blanks', size: DESKTOP, bring: async (page, show) => {
    await run(`blanks=0.4&look=encoder.blanks&${text('She is taller than her mother.')}`, 0)(page, show);
    await expect(machine(page, 'encoder').locator('.blanks table')).toHaveCount(1);
  } },
  { name: 'phone, two blanks', size: PHONE, bring: async (page, show) => {
    await run(`lang=zh&on=encoder&family=zh-en&look=encoder.blanks&${text('今天下午让我们打网球吧。')}`, 0)(page, show);
    await expect(machine(page, 'encoder').locator('.blanks table')).toHaveCount(1);
  } },
  { name: 'what it costs', size: DESKTOP, bring: run(`step=3&look=encoder.cost_causal.cost_prefix.cost_encoder-decoder.cost&${text(SENTENCE)}`, 3) },
  { name: 'phone, what it costs', size: PHONE, bring: run(`lang=zh&step=3&on=encoder-decoder&look=encoder-decoder.cost&${text(SENTENCE)}`, 3) },
  { name: 'what it is trained on', size: DESKTOP, bring: async (page, show) => {
    await run(`step=3&look=encoder.objective_causal.objective_prefix.objective_encoder-decoder.objective&${text(SENTENCE)}`, 3)(page, show);
    await train(machine(page, 'encoder-decoder'), 'spans');
    await expect(machine(page, 'encoder-decoder').locator('.objective table')).toHaveCount(2);
  } },
  { name: 'phone, what it is trained on', size: PHONE, bring: async (page, show) => {
    await run(`lang=zh&on=encoder&look=encoder.objective&${text(SENTENCE)}`, 0)(page, show);
    await train(machine(page, 'encoder'), 'replaced');
    await expect(machine(page, 'encoder').locator('.objective table')).toHaveCount(1);
  } },
  { name: 'what can be saved', size: DESKTOP, bring: async (page, show) => {
    await run(`step=4&${text(SENTENCE)}`, 4)(page, show);
    await machine(page, 'prefix').locator('.save > button').click();
  } },
  { name: 'phone, what can be saved', size: PHONE, bring: async (page, show) => {
    await run(`lang=zh&step=4&on=causal&${text(SENTENCE)}`, 4)(page, show);
    await machine(page, 'causal').locator('.save > button').click();
  } },
  { name: 'silenced heads', size: DESKTOP, bring: async (page, show) => {
    await run(`step=3&layer=6&head=all&silenced=causal.d6.1d6.3_encoder.e6.2&on=encoder,causal,encoder-decoder&${text(SENTENCE)}`, 3)(page, show);
    for (const name of ['causal', 'encoder-decoder']) await machine(page, name).locator('[data-action="paint"]').click();
  } },
  { name: 'other rules', size: DESKTOP, bring: async (page, show) => {
    await run(`step=4&mask=encoder.window:3_causal.full_prefix.prefix:3_encoder-decoder.causal%2Bwindow:3&${text(SENTENCE)}`, 4)(page, show);
    for (const name of ARCHITECTURES) await machine(page, name).locator('[data-action="paint"]').click();
  } },
  { name: 'painted masks', size: DESKTOP, bring: async (page, show) => {
    await run(`step=4&edits=causal.d11.1h11.2h11.3h_encoder-decoder.c3.2hc3.3h_encoder.e6.0h6.1h6.2h&${text(SENTENCE)}`, 4)(page, show);
    await machine(page, 'prefix').locator('[data-action="paint"]').click();
  } },
  { name: 'sampling', size: DESKTOP, bring: async (page, show) => {
    await run(`temperature=0.9&topK=3&seed=4&step=2&${text(SENTENCE)}`, 2)(page, show);
    await page.locator('.sampling > summary').click();
  } },
  { name: 'the device', size: DESKTOP, bring: async (page, show) => {
    await run(text(SENTENCE))(page, show);
    await page.locator('.badge > summary').click();
  } },
  { name: 'help', size: DESKTOP, bring: async (page, show) => {
    await run(text(SENTENCE))(page, show);
    await page.locator('#help').click();
  } },
  { name: 'opening a model', size: DESKTOP, bring: openModel() },
  { name: 'models that are kept', size: DESKTOP, bring: keptModels('on=causal&') },
  { name: 'a BERT and a LLaMA beside the quartet', size: DESKTOP, bring: openModels(['bert-pretraining', 'llama']) },
  { name: 'a BERT compares, under a mask of another', size: DESKTOP, bring: async (page, show) => {
    await openModels(['bert-pretraining'])(page, show);
    const card = page.locator('#open .card');
    await card.locator('[data-choice="at"]').selectOption('1');
    await card.locator('[data-choice="second"]').fill('w8 w9');
    await card.locator('[data-choice="rule"]').selectOption('causal');
    await expect(card.locator('.notes p')).toHaveCount(2);
    await done(page);
  } },
  { name: 'a T5 beside all four', size: PROJECTOR, bring: async (page, show) => {
    await openModels(['t5'])(page, show);
    for (const name of ['encoder', 'causal', 'prefix']) await page.locator(`.toggle[data-place="${name}"]`).click();
    await done(page);
  } },
  { name: 'phone, a GLM', size: PHONE, bring: openModels(['glm-blank'], 'on=none&') },
  { name: 'phone, opening a model', size: PHONE, bring: openModel('on=none&') },
  { name: 'phone, models that are kept', size: PHONE, bring: keptModels('lang=zh&on=causal&') },
  { name: 'phone', size: PHONE, bring: run(text(SENTENCE)) },
  { name: 'phone, all heads', size: PHONE, bring: run(`head=all&on=prefix&${text(SENTENCE)}`) },
  { name: 'phone, a painted mask', size: PHONE, bring: async (page, show) => {
    await run(`lang=zh&on=prefix&step=2&edits=prefix.d10.0h10.1h10.2h10.3h10.4h10.5h10.6h10.7h10.8h10.9h10.10h&${text(SENTENCE)}`, 2)(page, show);
    await machine(page, 'prefix').locator('[data-action="paint"]').click();
  } },
  { name: 'phone, error', size: PHONE, bring: async (page, show) => {
    await page.route('**/en-fr-causal*/model.safetensors', (route) => route.abort());
    await show(`on=causal&${text(SENTENCE)}`);
    await expect.poll(() => phase(machine(page, 'causal'))).toBe('error');
  } },
  { name: 'projector', size: PROJECTOR, bring: run(text(SENTENCE)) },
  { name: 'projector, one machine', size: PROJECTOR, bring: run(`on=prefix&${text(SENTENCE)}`) },
  { name: 'a frame', size: { width: 720, height: 520 }, bring: async (page, show) => {
    await show(`architecture=prefix&step=end&${text(SENTENCE)}`, '/embed.html');
    await done(page);
  } },
  { name: 'a lesson', size: { width: 1000, height: 1900 }, bring: async (page, show) => {
    await show('', '/examples/lesson.html');
    await done(page);
  } },
];

/**
 * How a state opens the page: in a theme, on the CPU (its times say nothing here).
 * @param {import('@playwright/test').Page} page
 * @param {'light'|'dark'} theme
 */
export const opener = (page, theme) => async (hash = '', path = '/') => {
  const settings = new URLSearchParams({ lang: 'en', device: 'cpu', theme });
  new URLSearchParams(hash).forEach((value, name) => settings.set(name, value));
  await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' });
  await page.goto(['/', '/open.html'].includes(path) ? `${path}#${settings}` : `${path}?${settings}`);
  if (!path.startsWith('/examples/')) await expect(page.locator('html')).toHaveAttribute('data-ready', 'true');
};
