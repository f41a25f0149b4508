/** A moment prepared by a link, or printed: it comes back whole. */
import { expect, test } from '@playwright/test';
import { done, drawn, host, machine, open } from '../machines.js';
import { address, look, press, words } from '../masks.js';

const hash = (page) => page.evaluate(() => location.hash);

test('a link to another mask brings what the choice was before, as does one to silenced heads', async ({ page }) => {
  for (const settings of ['edits=causal.d12.1h12.2h12.3h12.4h12.5h12.6h', 'mask=causal.full', 'silenced=causal.d6.1d6.2d6.3d6.4d6.5']) {
    await open(page, address(`on=causal&step=0&${settings}`));
    await page.reload();
    await done(page);
    const element = machine(page, 'causal');
    await expect(words(element)).toContainText('Before: “Le”');
    await expect(element.locator('.candidate .bar s:not([hidden])').first()).toBeVisible();
  }
  await open(page, address('on=encoder&edits=encoder.e6.0h6.1h6.2h'));
  await page.reload();
  await done(page);
  await expect(words(machine(page, 'encoder'))).toContainText('Before: “now” 14%.');
});

test('the machine that is large, a table and the leak test are in the address', async ({ page }) => {
  await open(page, address('step=2'));
  await done(page);
  await look(machine(page, 'causal'), 'leak');
  await look(machine(page, 'prefix'), 'table');
  await machine(page, 'causal').locator('[data-action="enlarge"]').click();
  await expect.poll(() => hash(page)).toMatch(/look=(causal\.leak_prefix\.table|prefix\.table_causal\.leak)&large=causal/);
  await page.reload();
  await expect(machine(page, 'causal')).toHaveAttribute('enlarged', '');
  await expect(machine(page, 'prefix')).toBeHidden();
  await expect(machine(page, 'causal').locator('.leak table')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(machine(page, 'prefix').locator('.tables table')).toBeVisible();
  await expect.poll(() => hash(page)).not.toContain('large');
  await page.evaluate(() => { location.hash = '#large=somebody&look=causal.everything'; });
  await expect(machine(page, 'causal').locator('.mask')).toBeVisible();
  await expect(machine(page, 'causal')).not.toHaveAttribute('enlarged', '');
});

test('paper has its settings, all of a table, and the verdict', async ({ page }) => {
  await open(page, 'lang=en&device=cpu&layer=3&head=2&on=encoder&text=I+have+a+cat.&pair=J%27ai+un+chien.&look=encoder.table');
  await done(page);
  const element = machine(page, 'encoder');
  await expect(page.locator('#printed')).toBeHidden();
  await page.emulateMedia({ media: 'print' });
  await expect(page.locator('#printed')).toHaveText('Layer 3 · Head 2 · step 0 of 0 · Sampling greedy');
  await expect(element.locator('.hint')).toBeVisible();
  await expect(element.locator('.hint')).toHaveText(/The pair head: .+\(logits: yes -?[\d.]+, no -?[\d.]+\)\.$/);
  const { box, whole } = await element.locator('.tables').evaluate((tables) => ({ box: tables.clientHeight, whole: tables.scrollHeight }));
  expect(box).toBe(whole);
});

test('the verdict of a pair is of what is shown, its blanks with it', async ({ page }) => {
  const verdict = (element) => element.evaluate((demo) => demo.shadowRoot.querySelector('.hint').textContent);
  await open(page, 'lang=en&device=cpu&on=encoder&text=I+have+a+cat.&pair=J%27ai+un+chien.');
  await done(page);
  const element = machine(page, 'encoder');
  // A pair that is to be judged is read whole.
  expect(await element.evaluate((demo) => demo.blanked)).toEqual([]);
  await expect(element.locator('.hint')).toContainText('The pair head');
  const whole = await verdict(element);
  await element.locator('.chip', { hasText: /^cat$/ }).click();
  await page.mouse.move(0, 0);
  await expect.poll(() => element.evaluate((demo) => demo.timeline?.length)).toBe(1);
  await expect.poll(() => verdict(element)).not.toBe(whole);
  await expect(element.locator('.hint')).toContainText('The pair head');
  const blanked = await verdict(element);
  const alone = await page.evaluate(async () => {
    const { loadEngine } = await import('/engine.js');
    const engine = await loadEngine('/models/en-fr-encoder-int8/', { device: 'cpu' });
    const { tokens } = await engine.tokenize('I have a cat.', "J'ai un chien.");
    const ids = tokens.map(({ id, piece }) => (piece === 'cat' ? engine.describe().special.mask : id));
    const { forward } = await engine.forward({ ids, watch: { layers: [0], heads: [0], rows: [0], what: ['attention'] } });
    engine.free();
    return forward.heads.pair.map((logit) => logit.toFixed(1));
  });
  expect(blanked).toContain(`(logits: yes ${alone[1]}, no ${alone[0]})`);
});

test('signs are pointed at like words, and what no one can see is no text', async ({ page }) => {
  await open(page, address('on=causal,prefix&step=2'));
  await done(page);
  const element = machine(page, 'causal');
  await element.locator('.chip').first().hover();
  await expect(element.locator('.hint')).toHaveText('“[BOS]” sees 1 of 11, seen by 11');
  await element.locator('.chip').nth(2).hover();
  await expect(machine(page, 'prefix').locator('.hint')).toContainText('“old” sees');
  await page.mouse.move(0, 0);
  await expect(machine(page, 'prefix').locator('.hint')).toBeEmpty();
  await page.locator('#sentence').fill('\u200B');
  await expect(element.locator('.status')).toBeVisible();
  expect(await element.evaluate((demo) => demo.phase)).toBe('empty');
});

test('edits that lie outside of the text are none, blanks that were filled at once share their cost, and what is near to all is not all', async ({ page }) => {
  await open(page, address('on=causal&edits=causal.d900.900h'));
  await done(page);
  await expect(words(machine(page, 'causal'))).toHaveText('');
  // Nothing that is there is otherwise, so there is nothing to reset.
  await expect(machine(page, 'causal').locator('[data-action="reset"]')).toBeHidden();
  await open(page, address('on=encoder&blanks=0.3&step=2'));
  await page.reload();
  await done(page);
  await expect(machine(page, 'encoder').locator('.stats')).toContainText('rows 9');
  const { percent } = await page.evaluate(async () => { const dom = await import('/views/dom.js'); return { percent: [0.9989, 0.9996, 0.9949, 0.95].map(dom.percent) }; });
  expect(percent).toEqual(['99.9%', '100%', '99%', '95%']);
});

test('undo by key is said, and what was said in another language is not left', async ({ page }) => {
  await open(page, address('on=prefix&step=3'));
  await done(page);
  const element = machine(page, 'prefix');
  const said = element.locator('.unseen[role="status"]').last();
  await press(element, 'paint');
  await element.locator('.mask').focus();
  for (const key of ['ArrowUp', 'ArrowRight', 'Enter']) await page.keyboard.press(key);
  await expect(said).toContainText('Cells painted: 1.');
  await page.keyboard.press('Control+z');
  await expect(said).not.toContainText('Cells painted');
  await page.keyboard.press('ArrowUp');
  await expect(said).not.toBeEmpty();
  await page.locator('#lang').click();
  await drawn(page);
  await expect(said).toBeEmpty();
});

test('a strip of tokens that has nothing to scroll does not stop the page', async ({ page }) => {
  await page.setViewportSize({ width: 1366, height: 500 });
  await open(page, address('step=1'));
  await done(page);
  await machine(page, 'causal').locator('.chip').nth(2).hover();
  await page.mouse.wheel(0, 120);
  await expect.poll(() => page.evaluate(() => scrollY)).toBeGreaterThan(60);
});

test('what has the focus is not under the dock', async ({ page }) => {
  await page.setViewportSize({ width: 740, height: 360 });
  await open(page, address('on=causal&step=1'));
  await done(page);
  for (let stop = 0; stop < 24; stop += 1) {
    await page.keyboard.press('Tab');
    const hidden = await page.evaluate(() => {
      let node = document.activeElement;
      while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;
      const dock = document.querySelector('#dock');
      if (!node || dock.contains(node)) return null;
      const { top, height } = node.getBoundingClientRect();
      // Of what is higher than the window the beginning counts.
      return top + Math.min(height, 24) > dock.getBoundingClientRect().top ? node.outerHTML.slice(0, 80) : null;
    });
    expect(hidden).toBe(null);
  }
});

test('what comes of another sentence, and of another blank, is said', async ({ page }) => {
  await open(page, address('on=encoder,causal'));
  await done(page);
  const said = page.locator('#say');
  await page.locator('#sentence').fill('Thank you very much!');
  await expect(said).toHaveText(/^Step 0\. Encoder-only is about to choose .+, [\d.]+%\. Causal decoder is about to choose .+, [\d.]+%\.$/);
  const before = await said.textContent();
  await machine(page, 'encoder').locator('.chip', { hasText: /^you$/ }).focus();
  await page.keyboard.press('Enter');
  await expect(said).not.toHaveText(String(before));
  await expect(said).toHaveText(/^Step 0\. Encoder-only is about to choose/);
});

test('what is compared with is there although a word was forced at once, and heads that are not there are none', async ({ page }) => {
  await open(page, address('on=causal&step=1&silenced=causal.d6.1&forced=causal.4.269'));
  await page.reload();
  await done(page);
  const element = machine(page, 'causal');
  await expect(words(element)).toContainText('Heads silenced: 1. Before: “');
  await open(page, address('on=causal&silenced=causal.e1.1d99.9'));
  await page.reload();
  await done(page);
  await expect(words(element)).toHaveText('');
  expect(await element.evaluate((demo) => demo.timeline.silenced)).toEqual([]);
});

/** As wide as a sheet without its margins. */
const SHEET = { width: 718, height: 1040 };
const SENTENCE = 'text=My+sister+wants+to+learn+English.';
const box = (locator) => locator.boundingBox();

for (const [name, path] of Object.entries({
  'one that is large': `/#lang=en&device=cpu&step=3&look=prefix.table&large=prefix&${SENTENCE}`,
  'one in a frame': `/embed.html?lang=en&device=cpu&architecture=prefix&look=table&step=3&${SENTENCE}`,
  'one among four': `/#lang=en&device=cpu&step=4&look=prefix.table&${SENTENCE}`,
})) {
  test(`paper has every column of a table, beside nothing else: ${name}`, async ({ page }) => {
    await page.goto(path);
    const element = page.locator('unmasked-demo[architecture="prefix"]');
    const table = element.locator('.tables table');
    await expect(element.locator('.candidate').first()).toBeVisible();
    await expect.poll(() => element.evaluate((demo) => demo.position)).toBeGreaterThan(2);
    await page.setViewportSize(SHEET);
    await page.emulateMedia({ media: 'print' });
    const above = await box(element.locator('.strips'));
    const below = await box(element.locator('.candidates'));
    const { x, y, width, height } = await box(table);
    expect(x).toBeGreaterThanOrEqual(0);
    expect(x + width).toBeLessThanOrEqual(SHEET.width);
    expect(y).toBeGreaterThanOrEqual(above.y + above.height);
    expect(below.y).toBeGreaterThanOrEqual(y + height);
    const cut = await table.locator('th, td').evaluateAll((cells) => cells.filter((cell) => cell.scrollWidth > cell.clientWidth + 1).map((cell) => cell.textContent));
    expect(cut).toEqual([]);
    if (name === 'one among four') {
      const [own, other] = [await box(element), await box(machine(page, 'causal'))];
      expect(own.width).toBeGreaterThan(1.9 * other.width);
    }
  });
}

test('paper has all of a long sentence, and one machine alone has all of a sheet', async ({ page }) => {
  const long = 'When my brother came home last night he was so tired that he went to bed at once, but the children wanted to play with him in the garden.';
  await open(page, `lang=en&device=cpu&on=causal&text=${encodeURIComponent(long)}`);
  await done(page);
  await expect(page.locator('.asked')).toBeHidden();
  await page.setViewportSize(SHEET);
  await page.emulateMedia({ media: 'print' });
  await expect(page.locator('#sentence')).toBeHidden();
  await expect(page.locator('.asked')).toHaveText(long);
  const { asked, whole } = await page.locator('.asked').evaluate((line) => ({ asked: line.clientWidth, whole: line.scrollWidth }));
  expect(whole).toBe(asked);
  await drawn(page);
  expect((await box(machine(page, 'causal'))).width).toBeGreaterThan(0.9 * SHEET.width);
  // What does not fit on a sheet was lost where it stood in a grid.
  expect(await page.locator('#machines').evaluate((stage) => getComputedStyle(stage).display)).toBe('block');
});

test('paper begins with the machine of a lesson, not with an empty sheet, and cuts no word', async ({ page }) => {
  await open(page, 'lang=en&device=cpu');
  await page.locator('#lessons summary').click();
  const pages = async () => (await page.pdf({ format: 'A4', margin: { top: '10mm', right: '10mm', bottom: '10mm', left: '10mm' } })).toString('latin1').match(/\/Type\s*\/Page\b(?!s)/g)?.length;
  await page.locator('#lessons li button').nth(6).click();
  await done(page);
  // Both times the machine, once its answer is there, would have had two sheets for itself.
  await expect.poll(pages).toBe(2);
  await page.locator('#lessons summary').click();
  await page.locator('#lessons li button').nth(9).click();
  await done(page);
  await expect.poll(pages).toBe(2);
  await page.setViewportSize(SHEET);
  await page.emulateMedia({ media: 'print' });
  const cut = await page.locator('unmasked-demo .candidate .piece').evaluateAll((words) => words.filter((word) => word.scrollWidth > word.clientWidth + 1).map((word) => word.textContent));
  expect(cut).toEqual([]);
});

test('paper leaves out what nobody has scrolled to, and says so; no button is on it', async ({ page }) => {
  await page.setViewportSize({ width: 640, height: 450 });
  await open(page, address('on=encoder,causal,prefix,encoder-decoder'));
  const demos = page.locator('unmasked-demo');
  const phases = () => demos.evaluateAll((all) => all.map((demo) => /** @type {any} */ (demo).phase));
  await expect.poll(async () => (await phases()).every((phase) => ['done', 'idle'].includes(phase))).toBe(true);
  const idle = (await phases()).map((phase) => phase === 'idle');
  expect(idle, 'one is far below').toContain(true);
  expect(idle[0]).toBe(false);
  await drawn(page);
  await page.emulateMedia({ media: 'print' });
  expect(await demos.evaluateAll((all) => all.map((demo) => !demo.checkVisibility()))).toEqual(idle);
  const names = await demos.evaluateAll((all) => all.map((demo) => demo.shadowRoot?.querySelector('.name')?.textContent ?? ''));
  for (const [at, name] of names.entries()) {
    if (idle[at]) await expect(page.locator('#printed')).toContainText(name);
    else await expect(page.locator('#printed')).not.toContainText(name);
  }
  await expect(page.locator('#printed')).toContainText('not loaded: ');
  for (const button of await page.locator('.retry').all()) await expect(button).toBeHidden();
  // On somebody else's page there is no gap either.
  await page.emulateMedia({ media: null });
  await host(page, '<p style="height: 300vh">far above</p><unmasked-demo architecture="causal" lang="en" device="cpu" text="Hello."></unmasked-demo>');
  await expect(page.locator('unmasked-demo .retry')).toBeAttached();
  await page.emulateMedia({ media: 'print' });
  expect(await page.locator('unmasked-demo').evaluate((demo) => demo.getBoundingClientRect().height)).toBe(0);
});

test('paper has all of what a long text is trained on', async ({ page }) => {
  await open(page, `lang=en&device=cpu&on=causal&look=causal.objective&text=${encodeURIComponent('The old doctor is tired tonight and wants to go home. '.repeat(5))}`);
  await done(page);
  const view = machine(page, 'causal').locator('.objective');
  await expect(view.locator('tbody tr')).not.toHaveCount(0);
  await page.setViewportSize({ width: 400, height: 1040 });
  const hidden = () => view.evaluate((node) => node.scrollHeight - node.clientHeight);
  expect(await hidden(), 'on the screen it scrolls').toBeGreaterThan(50);
  await page.emulateMedia({ media: 'print' });
  expect(await hidden()).toBeLessThan(2);
});

test('of a long text all heads have no table each: the page would stand still', async ({ page }) => {
  await open(page, `lang=en&device=cpu&on=encoder&head=all&look=encoder.table&text=${encodeURIComponent('The old doctor is tired tonight and wants to go home. '.repeat(12))}`);
  await done(page);
  const element = machine(page, 'encoder');
  await expect(element.locator('.tables table')).toHaveCount(1);
  await expect(element.locator('.more-tables')).toContainText('Heads not shown: 4.');
  await page.locator('#sentence').fill('The old doctor is tired.');
  await expect(element.locator('.tables table')).toHaveCount(5);
  await expect(element.locator('.more-tables')).toBeHidden();
});
