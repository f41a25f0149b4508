/** What axe finds wrong for people who see, hear or move differently, in every state of the page. */
import AxeBuilder from '@axe-core/playwright';
import { expect, test } from '@playwright/test';
import { answer, done, drawn, machine, open, phase } from '../machines.js';
import { look } from '../masks.js';
import { STATES, opener } from '../states.js';

/** Each finding with the elements that it speaks of, so that a failure can be acted on. */
async function findings(page, rules) {
  const axe = new AxeBuilder({ page });
  const { violations } = await (rules ? axe.withRules(rules) : axe).analyze();
  return violations.map(({ id, help, nodes }) => `${id} (${help}): ${nodes.map((node) => node.target.join(' ')).join(', ')}`);
}

for (const { name, size, bring } of STATES) {
  test(`axe finds nothing: ${name}`, async ({ page }) => {
    await page.setViewportSize(size);
    await bring(page, opener(page, 'light'));
    expect(await findings(page), 'light').toEqual([]);
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.evaluate(() => { document.documentElement.dataset.theme = 'dark'; });
    for (const demo of await page.locator('unmasked-demo[theme]').all()) await demo.evaluate((element) => element.setAttribute('theme', 'dark'));
    // Only colours differ.
    expect(await findings(page, ['color-contrast']), 'dark').toEqual([]);
  });
}

/** What has the focus, through shadow roots. */
const focused = (page) => page.evaluate(() => {
  let node = document.activeElement;
  while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;
  return { id: node.id, name: node.className, action: node.dataset.action ?? node.dataset.setting ?? node.dataset.architecture ?? '', text: node.textContent };
});

/** Presses Tab until the focus is where it should be; what it passed is told when it never is. */
async function tabTo(page, wanted, key = 'Tab') {
  const passed = [];
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press(key);
    const here = await focused(page);
    if (wanted(here)) return here;
    passed.push(`${here.id}.${here.name}[${here.action}]`);
  }
  throw new Error(`the Tab key never came there; it passed ${passed.join(' ')}`);
}

test('everything can be done with the keyboard alone', async ({ page }) => {
  await open(page, `lang=en&device=cpu&on=encoder,prefix&text=${encodeURIComponent('My sister wants to learn English.')}`);
  await done(page);
  const [encoder, prefix] = [machine(page, 'encoder'), machine(page, 'prefix')];

  await page.keyboard.press('Tab');
  expect((await focused(page)).name).toBe('skip');
  await page.keyboard.press('Enter');
  expect((await focused(page)).id).toBe('machines');

  // In the encoder: from its first token to another by arrows, and blank it.
  await tabTo(page, ({ name }) => name === 'chip');
  for (const key of ['ArrowRight', 'ArrowRight']) await page.keyboard.press(key);
  expect((await focused(page)).text).toBe('sister');
  for (const element of [encoder, prefix]) await expect(element.locator('.chip[data-sight="self"]')).toHaveText('sister');
  const before = await encoder.evaluate((demo) => [...demo.blanked]);
  await page.keyboard.press('Enter');
  await expect.poll(() => encoder.evaluate((demo) => [...demo.blanked])).not.toEqual(before);
  await done(page);

  // Its matrix: a cell, out again, the same as a table.
  await tabTo(page, ({ name }) => name === 'mask');
  await page.keyboard.press('ArrowRight');
  await expect(encoder.locator('.tooltip')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(encoder.locator('.tooltip')).toBeHidden();
  await tabTo(page, ({ action }) => action === 'look');
  await page.keyboard.press('ArrowDown');
  await expect(encoder.locator('table')).toBeVisible();

  // The other machine large, and back; a candidate pressed.
  await tabTo(page, ({ name, action }) => name.includes('enlarge') && action === 'enlarge');
  await page.keyboard.press('Enter');
  await expect(encoder).toBeHidden();
  await page.keyboard.press('Escape');
  await expect(encoder).toBeVisible();
  const first = await answer(prefix);
  await tabTo(page, ({ name }) => name === 'candidate');
  await tabTo(page, ({ name }) => name === 'candidate');
  await page.keyboard.press('Enter');
  await expect.poll(async () => (await answer(prefix))[0]).not.toBe(first[0]);
  await done(page);
  expect((await focused(page)).name, 'another can be pressed').toBe('candidate');
  await expect(prefix.locator('.candidate').first()).not.toHaveAttribute('aria-disabled');

  // The clock, and back to the top: a head, a machine.
  await tabTo(page, ({ action }) => action === 'end');
  await page.keyboard.press('Enter');
  expect(await prefix.evaluate((demo) => demo.position === demo.available)).toBe(true);
  await page.locator('#sentence').focus();
  await tabTo(page, ({ action }) => action === 'causal');
  await page.keyboard.press('Space');
  await expect(machine(page, 'causal')).toBeVisible();
  await tabTo(page, ({ action }) => action === 'head');
  await page.keyboard.press('ArrowDown');
  await expect.poll(() => prefix.getAttribute('head')).toBe('2');
  await done(page);
});

test('who tries again with the keyboard stays at the machine', async ({ page }) => {
  await page.route('**/en-fr-causal*/model.safetensors', (route) => route.abort(), { times: 1 });
  await open(page, 'lang=en&device=cpu&on=causal&text=Thank+you!');
  const causal = machine(page, 'causal');
  await expect.poll(() => phase(causal)).toBe('error');
  let load = () => {};
  await page.route('**/en-fr-causal*/model.safetensors', async (route) => {
    await new Promise((resolve) => { load = () => resolve(undefined); });
    await route.continue();
  });
  await causal.locator('.retry').focus();
  await page.keyboard.press('Enter');
  await expect(causal.locator('.retry')).toBeHidden();
  expect((await focused(page)).name).toBe('status');
  await expect.poll(() => { load(); return phase(causal); }).toBe('done');
  await drawn(page);
  expect((await focused(page)).name).toBe('name');
});

test('pointing tells both ways, and every head has its number', async ({ page }) => {
  await open(page, `lang=en&device=cpu&on=causal,encoder-decoder&text=${encodeURIComponent('My sister wants to learn English.')}`);
  await done(page);
  await page.keyboard.press('g');
  const [causal, wired] = [machine(page, 'causal'), machine(page, 'encoder-decoder')];
  await causal.locator('.chip', { hasText: /^wants$/ }).hover();
  await expect(causal.locator('.chip[data-sight="self"]')).toHaveCount(1);
  // Of a causal decoder: those before are seen and do not look back, those after look back and are not seen.
  const sight = await causal.locator('.chip').evaluateAll((chips) => chips.map((chip) => [chip.dataset.sight, chip.hasAttribute('data-looks-back')]));
  const own = sight.findIndex(([seen]) => seen === 'self');
  // The sign that ended the answer was written and never read: it has no row.
  sight.slice(0, -1).forEach((one, at) => expect(one, `token ${at}`).toEqual([at === own ? 'self' : at < own ? 'seen' : 'unseen', at > own]));
  // Of an encoder-decoder: the target looks back at the source by cross-attention.
  await expect(wired.locator('.strip[data-stack="decoder"] .chip:not(:last-child):not([data-looks-back])')).toHaveCount(0);
  await expect(wired.locator('.strip[data-stack="decoder"] .chip:not([data-sight="none"])')).toHaveCount(0);

  await page.locator('[data-setting="head"]').selectOption('all');
  await causal.locator('.mask').focus();
  for (const key of ['ArrowUp', 'ArrowUp']) await page.keyboard.press(key);
  const { numbers, heads } = await causal.evaluate((demo) => {
    const frame = demo.timeline.frame(demo.position);
    const block = frame.blocks[0];
    const layer = frame.layers.decoder - 1;
    return { heads: frame.heads, numbers: Array.from({ length: frame.heads }, (_, head) => block.attention(layer, head, frame.current.row - 1)[0].toFixed(3)) };
  });
  expect(numbers).toHaveLength(heads);
  // Keys are drawn with the next frame.
  await expect(causal.locator('figcaption b')).toHaveText(numbers);
  await look(causal, 'table');
  await expect(causal.locator('table')).toHaveCount(heads);
});

/** What moves by itself, or takes its time to change. */
const moving = (page) => page.evaluate(() => {
  const all = (root) => [...root.querySelectorAll('*')].flatMap((node) => [node, ...(node.shadowRoot ? all(node.shadowRoot) : [])]);
  return all(document).filter((node) => {
    const { animationName, transitionDuration } = getComputedStyle(node);
    return animationName !== 'none' || !/^0s(, 0s)*$/.test(transitionDuration);
  }).map((node) => node.className);
});

/** States in which something could move; each opens the page and brings it there. */
const STILL = {
  'at rest': async (page) => {
    await open(page, 'lang=en&device=cpu&on=causal');
    await done(page);
  },
  loading: async (page) => {
    await page.route('**/model.safetensors', () => {});
    await open(page, 'lang=en&device=cpu');
    await expect(machine(page, 'causal').locator('progress')).toBeVisible();
  },
  'choosing, before the first step is there': async (page) => {
    await page.addInitScript(() => {
      const post = Worker.prototype.postMessage;
      Worker.prototype.postMessage = function postMessage(...message) { if (message[0]?.method !== 'next') post.apply(this, message); };
    });
    await open(page, 'lang=en&device=cpu&on=causal,encoder');
    await expect.poll(() => phase(machine(page, 'causal'))).toBe('running');
    await drawn(page);
  },
  playing: async (page) => {
    await open(page, `lang=en&device=cpu&speed=0.25&text=${encodeURIComponent('My sister wants to learn English.')}`);
    await done(page);
    await page.keyboard.press(' ');
    await expect.poll(() => machine(page, 'causal').evaluate((demo) => demo.position)).toBeGreaterThan(0);
    await expect(page.locator('#dock [data-action="play"]')).toHaveAttribute('aria-label', /pause/i);
  },
  'a menu open': async (page) => {
    await open(page, 'lang=en&device=cpu&on=causal&look=causal.leak');
    await done(page);
    await machine(page, 'causal').locator('.save > button').click();
    await expect(machine(page, 'causal').locator('.save-menu')).toBeVisible();
  },
  'the dialog open': async (page) => {
    await open(page, 'lang=en&device=cpu&on=causal');
    await done(page);
    await page.locator('#help').click();
    await expect(page.locator('#help-dialog')).toBeVisible();
  },
  'a lesson on, painting': async (page) => {
    await open(page, 'lang=en&device=cpu&lesson=masks&on=causal');
    await done(page);
    await expect(page.locator('#lesson h2')).toBeVisible();
    await machine(page, 'causal').locator('[data-action="paint"]').click();
  },
};
for (const [name, bring] of Object.entries(STILL)) {
  test(`with reduced motion nothing moves by itself: ${name}`, async ({ page }) => {
    await page.emulateMedia({ reducedMotion: 'reduce' });
    await bring(page);
    expect(await moving(page)).toEqual([]);
  });
}

test.describe('with a finger', () => {
  test.use({ hasTouch: true, viewport: { width: 390, height: 844 } });

  test('what is pressed in two blanks and in a lesson is no lower than 24 pixels', async ({ page }) => {
    await open(page, 'lang=en&device=cpu');
    await page.locator('#lessons summary').click();
    await page.locator('#lessons li button').nth(5).click();
    await done(page);
    await expect(machine(page, 'encoder').locator('.exchange').first()).toBeVisible();
    for (const one of [page.locator('#lesson summary'), machine(page, 'encoder').locator('.exchange, .looks select, .word:visible')]) {
      const heights = await one.evaluateAll((nodes) => nodes.map((node) => node.getBoundingClientRect().height));
      expect(heights.length).toBeGreaterThan(0);
      expect(Math.min(...heights)).toBeGreaterThanOrEqual(24);
    }
  });
});

test('letters are keys no more where a person turned them off, in a link and in a lesson too', async ({ page }) => {
  await open(page, 'lang=en&device=cpu&on=causal');
  await done(page);
  const element = machine(page, 'causal');
  const position = () => element.evaluate((demo) => demo.position);
  const letters = page.getByRole('checkbox', { name: 'Letters as keys' });
  const hash = () => page.evaluate(() => location.hash);
  /** Presses letters, then an arrow, which acts in any case. @param {number} expected where that comes to */
  const press = async (expected) => {
    for (const key of ['n', 'n', 'g', 'p', 'c', 'l', '?', 'ArrowRight']) await page.keyboard.press(key);
    await expect.poll(position).toBe(expected);
  };
  await page.keyboard.press('h');
  await expect(letters).toBeChecked();
  await letters.focus();
  await page.keyboard.press(' ');
  await expect(letters).not.toBeChecked();
  await expect(letters).toBeFocused();
  // The dialog has no other way out by a letter.
  await page.keyboard.press('h');
  await expect(page.locator('#help-dialog')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.locator('#help-dialog')).toBeHidden();
  await press(1);
  for (const name of ['present', 'cover', 'lang=zh']) expect(await hash()).not.toContain(name);
  await expect(page.locator('#help-dialog')).toBeHidden();
  await expect.poll(hash).toContain('keys=off');
  await page.reload();
  await done(page);
  await press((await position()) + 1);
  // A lesson leaves it as it is.
  await page.locator('#lessons summary').click();
  await page.getByRole('button', { name: 'How far a window sees' }).click();
  await done(page);
  await expect.poll(hash).toMatch(/(?=.*lesson=window)(?=.*keys=off)/);
  // Turned on again they act, and the address says nothing of it.
  await page.locator('#help').click();
  await expect(letters).not.toBeChecked();
  await letters.check();
  await expect.poll(hash).not.toContain('keys');
  await page.keyboard.press('h');
  await expect(page.locator('#help-dialog')).toBeVisible();
});

test('a frame whose address says so has no letters for keys', async ({ page }) => {
  for (const [query, expected] of /** @type {Array<[string, number]>} */ ([['', 2], ['&keys=off', 1]])) {
    await page.goto(`/embed.html?architecture=causal&device=cpu&text=Where+is+the+cat%3F${query}`);
    await done(page);
    for (const key of ['n', 'ArrowRight']) await page.keyboard.press(key);
    await expect.poll(() => page.locator('unmasked-demo').evaluate((demo) => demo.position), query).toBe(expected);
  }
});
