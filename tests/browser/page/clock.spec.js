/** The clock and what hangs on it: playing, scrubbing, forcing, and a page's state in its address. */
import { expect, test } from '@playwright/test';
import { ARCHITECTURES, answer, done, machine, open, phase } from '../machines.js';
import { LONG } from '../states.js';
import { watch } from '../watch.js';

let seen;
test.beforeEach(async ({ page }) => { seen = await watch(page); });
test.afterEach(() => { expect(seen.errors).toEqual([]); });

const positions = (page) => page.locator('unmasked-demo').evaluateAll((demos) => demos.map((demo) => demo.position));
const control = (page, name) => page.locator(`#dock .action-${name}`);

test('one clock moves every machine: play, pause, step, back, scrub, restart', async ({ page }) => {
  await open(page, 'lang=en&device=cpu&speed=4');
  await done(page);
  await control(page, 'play').click();
  await expect.poll(async () => (await positions(page))[1]).toBeGreaterThan(1);
  await control(page, 'play').click();
  const paused = await positions(page);
  await page.waitForTimeout(600);
  expect(await positions(page), 'paused').toEqual(paused);
  await control(page, 'back').click();
  expect((await positions(page))[1]).toBe(paused[1] - 1);
  await control(page, 'step').click();
  expect((await positions(page))[1]).toBe(paused[1]);
  await page.locator('#dock input[type="range"]').fill('1');
  expect(new Set(await positions(page))).toEqual(new Set([1]));
  await control(page, 'restart').click();
  expect(new Set(await positions(page))).toEqual(new Set([0]));
});

test('playing stops at the end', async ({ page }) => {
  await open(page, 'lang=en&device=cpu&on=causal&speed=4');
  await done(page);
  const element = machine(page, 'causal');
  const shown = () => element.evaluate((demo) => ({ atEnd: demo.position === demo.available, settled: demo.timeline.frame(demo.position).settled }));
  await control(page, 'play').click();
  await expect.poll(shown, { timeout: 30_000 }).toEqual({ atEnd: true, settled: true });
  await expect(control(page, 'play')).toHaveAttribute('aria-label', 'Play');
});

test('to the end, asked for while the runs are being computed, is their end', async ({ page }) => {
  await open(page, 'lang=en&device=cpu&on=causal,prefix');
  await page.waitForFunction(() => {
    if (![...document.querySelectorAll('unmasked-demo')].some((demo) => demo.phase === 'running')) return false;
    document.querySelector('#dock .action-end').click();
    return true;
  }, undefined, { polling: 5 });
  await done(page);
  const behind = () => page.locator('unmasked-demo').evaluateAll((demos) => Math.max(...demos.map((demo) => demo.available)) - demos[0].position);
  await expect.poll(behind).toBe(0);
  expect((await positions(page))[0]).toBeGreaterThan(1);
});

test('a machine that is turned off and on again leaves the clock where it was', async ({ page }) => {
  await open(page, 'lang=en&device=cpu&on=encoder,causal');
  await done(page);
  const shown = async () => (await positions(page))[0];
  await control(page, 'end').click();
  await control(page, 'back').click();
  await expect.poll(shown).toBeGreaterThan(2);
  const left = await shown();
  const toggle = page.locator('.toggle[data-place="causal"]');
  await toggle.click();
  await expect.poll(shown, 'the end of the only run').toBe(1);
  await toggle.click();
  await done(page);
  await expect.poll(() => positions(page)).toEqual([left, left]);
  // Where it was moved in between it stays.
  await toggle.click();
  await expect.poll(shown).toBe(1);
  await control(page, 'restart').click();
  await toggle.click();
  await done(page);
  expect(await positions(page)).toEqual([0, 0]);
});

test('the model\'s own choice, pressed again, takes back what was forced, in the address too', async ({ page }) => {
  await open(page, 'lang=en&device=cpu&on=causal&step=2');
  await done(page);
  const element = machine(page, 'causal');
  const before = await answer(element);
  const own = await element.locator('.candidate[data-chosen]').getAttribute('data-id');
  await element.locator('.candidate:not([data-chosen])').first().click();
  await expect.poll(() => page.evaluate(() => location.hash)).toContain('forced=causal.2.');
  await done(page);
  await page.keyboard.press('ArrowLeft');
  await element.locator(`.candidate[data-id="${own}"]`).click();
  await expect.poll(() => page.evaluate(() => location.hash)).not.toContain('forced');
  await done(page);
  expect(await answer(element)).toEqual(before);
});

test('Play right after another seed plays the new run from its start', async ({ page }) => {
  await open(page, 'lang=en&device=cpu&on=causal&temperature=0.8&seed=9&speed=4');
  await done(page);
  await page.locator('#dock [data-action="end"]').click();
  await expect.poll(async () => (await positions(page))[0]).toBeGreaterThan(2);
  const before = await machine(page, 'causal').evaluate((demo) => {
    demo.setAttribute('seed', '10');
    return demo.position;
  });
  await page.locator('#dock [data-action="play"]').click();
  expect((await positions(page))[0]).toBeLessThan(Math.min(2, before));
  await expect(page.locator('#dock [data-action="play"]')).toHaveAttribute('aria-label', /Pause/);
});

test('the state lies in the address and comes back from it', async ({ page }) => {
  await open(page, 'lang=en&device=cpu&on=causal,prefix&layer=2&head=3&step=2&temperature=0.8&topK=5&seed=9');
  await done(page);
  await expect.poll(() => positions(page)).toEqual([2, 2]);
  const first = await answer(machine(page, 'causal'));
  await page.keyboard.press('n');
  await expect.poll(() => page.evaluate(() => location.hash)).toContain('step=3');
  await page.reload();
  await done(page);
  await expect.poll(() => positions(page)).toEqual([3, 3]);
  expect(await answer(machine(page, 'causal')), 'equal seeds draw equal tokens').toEqual(first);
  await expect(page.locator('[data-setting="layer"]')).toHaveValue('2');
  await expect(page.locator('[data-setting="head"]')).toHaveValue('3');
});

test('an address full of nonsense opens the usual page', async ({ page }) => {
  await open(page, 'lang=en&device=cpu&on=<script>&layer=9999999&head=-3&temperature=NaN&blanks=999.998&step=99999&text=%E0%A4%A');
  await done(page);
  await expect(page.locator('unmasked-demo')).toHaveCount(ARCHITECTURES.length);
});

test('a layer, a head or a quartet that is not there is not offered', async ({ page }) => {
  const bar = (name) => page.locator(`[data-setting="${name}"]`);
  for (const state of ['layer=999&head=99&family=nope', 'layer=9&head=8&family=en-zz']) {
    await open(page, `lang=en&device=cpu&on=causal,encoder-decoder&${state}`);
    await done(page);
    const { layers, heads } = await machine(page, 'causal').evaluate((demo) => ({ layers: demo.description.layers.decoder, heads: demo.description.heads }));
    await expect(bar('layer')).toHaveValue(String(layers));
    await expect(bar('head')).toHaveValue(String(heads));
    await expect(bar('layer').locator('option')).toHaveCount(layers);
    await expect(bar('family')).toHaveValue('en-fr');
    await expect.poll(() => page.evaluate(() => location.hash)).not.toContain('family');
  }
});

test('a machine with fewer layers or heads than the bar names says which it shows', async ({ page }) => {
  await open(page, 'lang=en&device=cpu&on=causal,encoder-decoder');
  await done(page);
  const [causal, wired] = ['causal', 'encoder-decoder'].map((architecture) => machine(page, architecture).locator('.less'));
  await expect(page.locator('[data-setting="layer"]')).toHaveValue('6');
  await expect(wired).toHaveText('layer 3 of 3');
  await expect(causal).toBeHidden();
  await page.locator('[data-setting="layer"]').selectOption('3');
  await expect(wired).toBeHidden();
  await page.locator('[data-setting="layer"]').selectOption('5');
  await expect(wired).toHaveText('layer 3 of 3');
  await page.keyboard.press('l');
  await expect(wired).toHaveText('第 3 层（共 3 层）');
  // Alone it shows what the bar says.
  await page.locator('#toggles [data-architecture="causal"]').click();
  await expect(page.locator('[data-setting="layer"]')).toHaveValue('3');
  await expect(wired).toBeHidden();
});

test('a forced choice keeps what came before it, and going back shows it', async ({ page }) => {
  await open(page, 'lang=en&device=cpu&on=prefix&step=2');
  await done(page);
  const element = machine(page, 'prefix');
  const before = await answer(element);
  const candidate = element.locator('.candidate:not([data-chosen])').nth(0);
  const id = Number(await candidate.getAttribute('data-id'));
  await candidate.click();
  await done(page);
  expect((await answer(element)).slice(0, 3)).toEqual([...before.slice(0, 2), id]);
  expect((await positions(page))[0]).toBe(3);
  await expect(element.locator('.chip[data-forced]')).toHaveCount(1);
  await expect(element.locator('.chip[data-forced]')).toHaveAttribute('aria-label', /, forced$/);
  await page.keyboard.press('ArrowLeft');
  await expect(element.locator('.candidate[data-forced]')).toHaveAttribute('data-id', String(id));
});

test('a forced choice comes back from the address, and goes with its sentence', async ({ page }) => {
  await open(page, 'lang=en&device=cpu&step=1');
  await done(page);
  const forced = (architecture) => machine(page, architecture).locator('.chip[data-forced]');
  const answers = () => Promise.all(ARCHITECTURES.map((architecture) => answer(machine(page, architecture))));
  const press = async (architecture, at) => {
    await machine(page, architecture).locator('.candidate:not([data-chosen])').nth(at).click();
    await done(page);
  };
  await press('causal', 1);
  await press('causal', 2);
  await press('encoder-decoder', 0);
  await page.keyboard.press('r');
  await press('encoder', 1);
  const before = await answers();
  await page.keyboard.press('g');
  await expect.poll(() => page.evaluate(() => location.hash)).toMatch(/forced=causal\.1\.\d+\.2\.\d+_encoder-decoder\.3\.\d+_encoder\.0\.\d+&.*step=/);
  const shown = await positions(page);
  await expect.poll(() => page.evaluate(() => location.hash)).toContain(`step=${shown[0]}`);
  await page.reload();
  await done(page);
  expect(await answers()).toEqual(before);
  await expect.poll(() => positions(page)).toEqual(shown);
  for (const [architecture, count] of [['encoder', 1], ['causal', 2], ['prefix', 0], ['encoder-decoder', 1]]) await expect(forced(architecture), architecture).toHaveCount(count);
  // The address alone changes: what is shown until the new runs begin is not the end of anything.
  const goTo = (hash) => page.evaluate((to) => { location.hash = to; }, hash);
  const link = await page.evaluate(() => location.hash);
  await goTo('lang=en&device=cpu&text=Thank%20you.');
  await expect.poll(() => machine(page, 'causal').evaluate((demo) => demo.choices)).toBe('');
  await done(page);
  await goTo(link);
  await expect.poll(answers).toEqual(before);
  await expect.poll(() => positions(page)).toEqual(shown);
  // Another blank is another run of the encoder alone.
  await machine(page, 'encoder').locator('.chip', { hasText: /^old$/ }).click();
  await expect.poll(() => page.evaluate(() => location.hash)).toMatch(/forced=causal[^&]*_encoder-decoder\.3\.\d+&/);
  await done(page);
  await page.keyboard.press('g');
  await expect(forced('causal')).toHaveCount(2);
  await page.locator('#sentence').fill('She is reading a book.');
  await expect.poll(() => page.evaluate(() => location.hash)).not.toContain('forced');
  await expect.poll(() => machine(page, 'causal').evaluate((demo) => demo.choices)).toBe('');
  await done(page);
  expect((await answers())[1]).not.toEqual(before[1]);
});

test('forced choices that no run can make are left out', async ({ page }) => {
  // What could be chosen in the third step, behind a choice that could not be in the second.
  await open(page, 'lang=en&device=cpu&on=causal');
  await done(page);
  const second = await machine(page, 'causal').evaluate((demo) => demo.timeline.steps[2].candidates[1].id);
  await page.goto('about:blank');
  await open(page, `lang=en&device=cpu&on=causal&forced=causal.1.999999999.2.${second}`);
  await done(page);
  expect(await machine(page, 'causal').evaluate((demo) => demo.choices)).toBe('');
});

test('words blanked faster than they are filled are all blank, and none of another sentence', async ({ page }) => {
  await open(page, `lang=en&device=cpu&on=encoder&blanks=4&text=${encodeURIComponent('The cat is in the garden.')}`);
  await done(page);
  const element = machine(page, 'encoder');
  const pressBoth = (words) => element.evaluate((demo, wanted) => {
    for (const word of wanted) [...demo.shadowRoot.querySelectorAll('.chip')].find((chip) => chip.textContent === word).click();
  }, words);
  await pressBoth(['cat', 'is']);
  await expect.poll(() => element.evaluate((demo) => demo.blanked)).toEqual([1, 2, 4]);
  await done(page);
  // Pressed between another sentence and its run.
  await element.evaluate((demo) => {
    const chip = [...demo.shadowRoot.querySelectorAll('.chip')].find(({ textContent }) => textContent === 'in');
    const sentence = document.querySelector('#sentence');
    sentence.value = 'I am here now.';
    sentence.dispatchEvent(new Event('input'));
    chip.click();
  });
  await expect.poll(() => element.evaluate((demo) => demo.timeline.header.tokens.length)).toBeLessThan(8);
  expect(await element.getAttribute('blanks')).toBe(null);
});

test('blanks are filled all at once or surest first, and a pressed guess stays', async ({ page }) => {
  await open(page, `lang=en&device=cpu&on=encoder&blanks=1.4&text=${encodeURIComponent('The cat is in the garden.')}`);
  await done(page);
  const element = machine(page, 'encoder');
  await expect(element.locator('.chip[data-state="blank"]')).toHaveCount(2);
  expect(await answer(element)).toHaveLength(2);
  await page.locator('[data-setting="fill"]').selectOption('confidence');
  await done(page);
  const [first] = await element.evaluate((demo) => demo.timeline.steps.map(({ row, candidates }) => ({ row, p: candidates[0].probability })));
  const other = await element.evaluate((demo) => demo.timeline.steps[0].candidates[1].id);
  await element.locator(`.candidate[data-id="${other}"]`).click();
  await done(page);
  expect(await element.evaluate((demo) => demo.timeline.steps[0].chosen)).toBe(other);
  expect(await element.evaluate((demo) => demo.timeline.steps[0].row)).toBe(first.row);
  await page.keyboard.press('g');
  await expect(element.locator('.chip[data-state="filled"]')).toHaveCount(2);
});

test('a token pointed at in one machine is found in the others', async ({ page }) => {
  await open(page, `lang=en&device=cpu&text=${encodeURIComponent('The cat is in the garden.')}`);
  await done(page);
  await machine(page, 'causal').locator('.chip', { hasText: /^cat$/ }).hover();
  for (const architecture of ARCHITECTURES) {
    const element = machine(page, architecture);
    await expect(element.locator('.chip[data-sight="self"]')).toHaveText('cat');
    await expect(element.locator('.hint')).toContainText('“cat” sees');
  }
  await expect(machine(page, 'causal').locator('.chip[data-sight="unseen"]')).not.toHaveCount(0);
  await expect(machine(page, 'encoder').locator('.chip[data-sight="unseen"]')).toHaveCount(0);
});

test('with all heads shown, the lines tell of the strongest', async ({ page }) => {
  await open(page, `lang=en&device=cpu&on=causal&head=all&text=${encodeURIComponent('The cat is in the garden.')}`);
  await done(page);
  const element = machine(page, 'causal');
  await element.locator('.chip', { hasText: /^in$/ }).hover();
  await expect(element.locator('.chip[data-sight="self"]')).toHaveText('in');
  const { shown, computed } = await element.evaluate((demo) => {
    const chips = [...demo.shadowRoot.querySelectorAll('.chip')];
    const row = chips.findIndex((chip) => chip.dataset.sight === 'self');
    const { blocks: [block], heads, layers } = demo.timeline.frame(demo.position);
    const rows = Array.from({ length: heads }, (_, head) => block.attention(layers[block.name] - 1, head, row));
    return {
      shown: chips.map((chip) => chip.style.getPropertyValue('--strength')),
      computed: chips.map((_, key) => (key <= row ? Math.max(...rows.map((head) => head[key])) : 0).toFixed(3)),
    };
  });
  expect(shown).toEqual(computed);
  expect(Math.max(...shown.map(Number))).toBeGreaterThan(0.1);
});

test('a longer text than the context is cut, and says so', async ({ page }) => {
  // What a run keeps free for its answer is cut as well, though the context would hold it.
  for (const [text, cut] of [
    ['The cat is in the garden and the dog is in the house. '.repeat(12), { encoder: / house\.$/, causal: / house\.$/ }],
    [LONG, { causal: /^, and so he got up again\.$/, prefix: /^, and so he got up again\.$/ }],
  ]) {
    await open(page, `lang=en&device=cpu&on=${Object.keys(cut)}&text=${encodeURIComponent(text)}`);
    await page.reload(); // An address that differs in its hash alone is the same page.
    await done(page);
    for (const [architecture, end] of Object.entries(cut)) {
      const line = machine(page, architecture).locator('.cut-line');
      await expect(line).toContainText('too many, cut:');
      await expect(line.locator('s')).toHaveText(end);
    }
  }
});

test('of a text that is cut, a prefix mask ends where the source does', async ({ page }) => {
  await open(page, `lang=en&device=cpu&on=causal&text=${encodeURIComponent(LONG)}`);
  await done(page);
  const element = machine(page, 'causal');
  await element.evaluate((demo) => demo.setAttribute('mask', 'prefix'));
  await expect.poll(() => element.evaluate((demo) => demo.timeline.frame(1).blocks[0].visible(0, 9))).toBe(true);
  await done(page);
  // An answer inside the prefix would change all rows before it, step after step.
  expect(await element.evaluate((demo) => demo.timeline.steps.slice(1).map(({ stats }) => stats.rows_computed))).toEqual(
    await element.evaluate((demo) => demo.timeline.steps.slice(1).map(() => 1)));
});

test('what is cut begins where the last token that was read ends', async ({ page }) => {
  const text = '我妹妹想学英语。'.repeat(12);
  await open(page, `lang=en&device=cpu&text=${encodeURIComponent(text)}`);
  await done(page);
  for (const architecture of ['causal', 'prefix']) {
    const element = machine(page, architecture);
    const end = await element.evaluate((demo) => Math.max(...demo.timeline.header.tokens.map((token) => token.end ?? 0)));
    expect(end).toBeGreaterThan(0);
    await expect(element.locator('.cut-text')).toHaveText(text.slice(end));
  }
});

test('the end is that of all machines, of those below the window, too', async ({ page }) => {
  await page.setViewportSize({ width: 960, height: 300 });
  await open(page, 'lang=en&device=cpu&text=My+sister+wants+to+learn+English.');
  await expect.poll(() => phase(machine(page, 'encoder'))).toBe('done');
  const below = machine(page, 'encoder-decoder');
  expect(await phase(below), 'nobody has come to it').toBe('idle');
  await page.keyboard.press('g');
  await done(page);
  const ends = () => page.locator('unmasked-demo').evaluateAll((demos) => [demos[0].position, Math.max(...demos.map((demo) => demo.available))]);
  await expect.poll(async () => { const [position, end] = await ends(); return position === end && end > 5; }).toBe(true);
});
