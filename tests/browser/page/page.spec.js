/**
 * The page as a person uses it, with the real models. What is marked @gpu runs in the browser with WebGPU too; the rest
 * does not depend on the device.
 */
import { expect, test } from '@playwright/test';
import { ARCHITECTURES, answer, chips, done, drawn, machine, open, phase } from '../machines.js';
import { longestTasks } from '../stalls.js';
import { watch } from '../watch.js';
import en from '../../../www/i18n/en.js';
import zh from '../../../www/i18n/zh.js';

/** WebGPU is asked for by name where there is one: it is software here, and would not be chosen. */
const device = () => (test.info().project.name === 'webgpu' ? 'device=webgpu' : 'device=cpu');

let seen;

test.beforeEach(async ({ page }) => {
  seen = await watch(page);
});

test.afterEach(() => {
  expect(seen.errors).toEqual([]);
});

test('four machines read one sentence and answer it', { tag: '@gpu' }, async ({ page }) => {
  await open(page, `lang=en&${device()}`);
  await expect(page).toHaveTitle(/Unmasked/);
  await expect(page.locator('#static')).toHaveCount(0);
  await done(page);
  await page.keyboard.press('g');
  for (const architecture of ARCHITECTURES) {
    const element = machine(page, architecture);
    await expect(element.getByRole('heading')).toBeVisible();
    await expect(element.locator('.chip[data-state="source"]').first()).toBeVisible();
    expect(await answer(element), architecture).not.toHaveLength(0);
    expect((await chips(element)).join(' '), architecture).not.toContain('�');
    await expect(element.locator('.candidate').first()).toBeVisible();
  }
  const badge = page.locator('.badge');
  await expect(badge).toHaveAttribute('data-backend', device() === 'device=webgpu' ? 'gpu' : 'cpu');
});

test('every key does what the help says', async ({ page }) => {
  await open(page, `lang=en&on=causal&${device()}`);
  await done(page);
  const position = () => machine(page, 'causal').evaluate((demo) => demo.position);
  await page.keyboard.press('g');
  const end = await position();
  expect(end).toBeGreaterThan(1);
  for (const [key, expected] of [['r', 0], ['ArrowRight', 1], ['n', 2], ['ArrowLeft', 1]]) {
    await page.keyboard.press(key);
    expect(await position(), key).toBe(expected);
  }
  await page.keyboard.press(' ');
  await expect.poll(position).toBeGreaterThan(1);
  await page.keyboard.press(' ');
  await page.keyboard.press('h');
  await expect(page.locator('#help-dialog')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.locator('#help-dialog')).toBeHidden();
});

test('switching the language keeps the run and fetches nothing', async ({ page }) => {
  await open(page, `lang=en&${device()}`);
  await done(page);
  await page.keyboard.press('g');
  await drawn(page);
  const shown = () => Promise.all(ARCHITECTURES.map((architecture) => chips(machine(page, architecture))));
  const before = await shown();
  const requests = seen.requests.length;
  await page.keyboard.press('l');
  await expect(page.locator('html')).toHaveAttribute('lang', 'zh-Hans');
  await expect(page.locator('h1')).toContainText(/\p{Script=Han}/u);
  await drawn(page);
  expect(await shown()).toEqual(before);
  // The browser asks for the tab's icon when it likes.
  expect(seen.requests.slice(requests).filter((url) => !url.endsWith('icon.svg'))).toEqual([]);
});

for (const architecture of ['causal', 'prefix', 'encoder-decoder']) {
  test(`${architecture}: a pressed candidate is forced and the run goes on from there`, { tag: '@gpu' }, async ({ page }) => {
    await open(page, `lang=en&on=${architecture}&${device()}`);
    await done(page);
    const element = machine(page, architecture);
    await page.keyboard.press('r');
    const candidate = element.locator('.candidate:not([data-chosen="true"])').nth(1);
    const id = Number(await candidate.getAttribute('data-id'));
    await candidate.click();
    await expect.poll(async () => (await answer(element))[0]).toBe(id);
    await done(page);
    expect((await answer(element))[0]).toBe(id);
  });
}

test('the encoder fills the word that was pressed', async ({ page }) => {
  await open(page, `lang=en&on=encoder&text=${encodeURIComponent('The cat is in the garden.')}&${device()}`);
  await done(page);
  const element = machine(page, 'encoder');
  await page.keyboard.press('r');
  const before = await element.evaluate((demo) => [...demo.blanked]);
  await element.locator('.chip', { hasText: /^cat$/ }).click();
  await expect.poll(() => element.evaluate((demo) => [...demo.blanked])).not.toEqual(before);
  await done(page);
  expect(await element.evaluate((demo) => demo.blanked)).toContain(1);
});

test('a blank that was written is the only one, until a word is pressed', async ({ page }) => {
  await open(page, `lang=en&on=encoder&text=${encodeURIComponent('The old doctor is [MASK] tonight.')}&${device()}`);
  await done(page);
  const element = machine(page, 'encoder');
  const blank = element.locator('.chip[data-state="blank"]');
  await expect(blank).toHaveCount(1);
  await expect(element.locator('.chip', { hasText: /^tonight$/ })).toHaveAttribute('data-state', 'source');
  expect(await answer(element)).toHaveLength(1);
  await element.locator('.chip', { hasText: /^tonight$/ }).click();
  await expect(blank).toHaveCount(2);
  await done(page);
  expect(await answer(element)).toHaveLength(2);
});

test('another sentence makes another run; none at all is no error', { tag: '@gpu' }, async ({ page }) => {
  await open(page, `lang=en&on=causal,prefix&${device()}`);
  await done(page);
  const sentence = page.locator('#sentence');
  await sentence.fill('She is reading a book.');
  await expect.poll(() => chips(machine(page, 'causal')).then((pieces) => pieces.join(' '))).toContain('book');
  await done(page);
  await sentence.fill('   ');
  await expect.poll(() => phase(machine(page, 'prefix'))).toBe('empty');
  await sentence.fill('Thank you!');
  await done(page);
});

test('another quartet can be chosen and starts with a sentence of its own', async ({ page }) => {
  await page.route('**/models/models.json', async (route) => {
    const list = await (await route.fetch()).json();
    const second = list.models.filter(({ id }) => id.startsWith('en-fr')).map((model) => ({ ...model, id: model.id.replace('en-fr', 'de-en'), experimental: true, languages: { source: 'de', target: 'en' }, examples: ['Thank you!'] }));
    await route.fulfill({ json: { ...list, models: [...list.models, ...second] } });
  });
  await open(page, `lang=en&on=causal&text=${encodeURIComponent('The cat is in the garden.')}&${device()}`);
  await done(page);
  await expect(page.locator('[data-setting="family"] option')).toHaveText(['English → French', 'Chinese → English', 'German → English (experimental)']);
  await page.locator('[data-setting="family"]').selectOption('de-en');
  await expect(page.locator('#sentence')).toHaveValue('Thank you!');
  await expect.poll(() => chips(machine(page, 'causal')).then((pieces) => pieces.join(' '))).toContain('Thank');
  await done(page);
  await expect.poll(() => page.evaluate(() => location.hash)).toContain('family=de-en');
  await page.locator('[data-setting="family"]').selectOption('zh-en');
  await expect(page.locator('#sentence')).toHaveValue('我想学习英语。');
  await expect.poll(() => chips(machine(page, 'causal')).then((pieces) => pieces.join(''))).toContain('英语。');
  await done(page);
});

test('text is text, whatever it says', async ({ page }) => {
  const text = '<img src=x onerror=alert(1)> 🙂 \u202E abc </p><script>alert(2)</script>';
  page.on('dialog', (dialog) => { seen.errors.push(`a dialog: ${dialog.message()}`); dialog.dismiss(); });
  await open(page, `lang=en&on=causal,encoder&text=${encodeURIComponent(text)}&${device()}`);
  await done(page);
  await page.keyboard.press('g');
  const added = await page.locator('unmasked-demo').evaluateAll((demos) => demos.flatMap((demo) => [...demo.shadowRoot.querySelectorAll('img, script')].length));
  expect(added).toEqual([0, 0]);
});

test('only the machines that are on fetch their model', async ({ page }) => {
  await open(page, `lang=en&on=prefix&${device()}`);
  await done(page);
  const weights = () => seen.requests.filter((url) => url.endsWith('model.safetensors'));
  expect(weights()).toHaveLength(1);
  await page.locator('#toggles [data-architecture="causal"]').click();
  await done(page);
  expect(weights()).toHaveLength(2);
});

test('a model that cannot be fetched is said in its place, and can be tried again', async ({ page }) => {
  await page.route('**/en-fr-causal*/model.safetensors', (route) => route.abort());
  await open(page, `lang=en&on=causal,prefix&${device()}`);
  const element = machine(page, 'causal');
  await expect.poll(() => phase(element)).toBe('error');
  const told = element.locator('.status-detail');
  const sentence = (words) => words['open.error.unanswered'].replace('{file}', 'model.safetensors');
  await expect(told).toHaveText(sentence(en));
  await expect.poll(() => phase(machine(page, 'prefix'))).toBe('done');
  // In the page's other language too.
  await page.keyboard.press('l');
  await expect(told).toHaveText(sentence(zh));
  await page.keyboard.press('l');
  await page.unroute('**/en-fr-causal*/model.safetensors');
  await element.locator('.retry').click();
  await done(page);
  // The browser itself tells the console of the download that the test broke off.
  seen.errors = seen.errors.filter((text) => !text.includes('ERR_FAILED'));
});

test('a list of models that came late is made up for: the sentence, the menus, what is set after', async ({ page }) => {
  await page.route('**/models/models.json', (route) => route.abort());
  await open(page, `lang=en&on=causal,prefix&${device()}`);
  const both = [machine(page, 'causal'), machine(page, 'prefix')];
  for (const element of both) await expect.poll(() => phase(element)).toBe('error');
  await expect(page.locator('#sentence')).toHaveValue('');
  await page.unroute('**/models/models.json');
  await both[0].locator('.retry').click();
  await expect(page.locator('#sentence')).not.toHaveValue('');
  await expect(page.locator('[data-setting="family"]')).toBeVisible();
  await done(page);
  await page.locator('[data-setting="layer"]').selectOption('2');
  await drawn(page);
  const sentence = await page.locator('#sentence').inputValue();
  for (const element of both) expect(await element.getAttribute('text')).toBe(sentence);
  seen.errors = seen.errors.filter((text) => !text.includes('ERR_FAILED'));
});

test('beside a machine that gave up the clock ends where the other does', async ({ page }) => {
  await page.route('**/en-fr-causal*/model.safetensors', (route) => route.abort());
  await open(page, `lang=en&on=causal,prefix&step=30&text=${encodeURIComponent('Thank you!')}&${device()}`);
  await expect.poll(() => phase(machine(page, 'causal'))).toBe('error');
  const prefix = machine(page, 'prefix');
  await expect.poll(() => phase(prefix)).toBe('done');
  await expect.poll(() => prefix.evaluate((demo) => demo.position === demo.available)).toBe(true);
  await page.keyboard.press('ArrowLeft');
  expect(await prefix.evaluate((demo) => demo.available - demo.position)).toBe(1);
  seen.errors = seen.errors.filter((text) => !text.includes('ERR_FAILED'));
});

test('the page never stalls while the models write', { tag: '@gpu' }, async ({ page }) => {
  await open(page, `lang=en&${device()}`);
  await done(page);
  // A page that stalls does so every time; a machine that does other things as well, now and then.
  const longest = [];
  for (const sentence of ['We will eat when you come home.', 'My sister wants to learn English.', 'Nobody knows where he is.']) {
    const tasks = await longestTasks(page, async () => {
      await page.locator('#sentence').fill(sentence);
      await page.waitForTimeout(500);
      await done(page);
      await page.keyboard.press('g');
      await page.waitForTimeout(500);
    });
    expect(tasks.length).toBeGreaterThan(10);
    longest.push(tasks[0]);
  }
  expect(Math.min(...longest)).toBeLessThanOrEqual(50);
});

test('the head of the page fits the narrowest phones, in both languages and themes', async ({ page }) => {
  await open(page, 'on=none');
  for (const width of [320, 390, 401, 481]) {
    await page.setViewportSize({ width, height: 700 });
    for (const settings of ['lang=en&theme=light', 'lang=zh&theme=dark', 'lang=zh&theme=light', 'lang=en&theme=dark']) {
      for (const path of ['/', '/open.html']) {
        await page.goto(`${path}#on=none&device=cpu&${settings}`);
        await page.reload();
        for (const menu of ['lessons', 'present']) await page.locator(`#${menu} summary`).click();
        const rights = await page.evaluate(() => ({
          whole: document.documentElement.scrollWidth,
          ask: document.querySelector('#ask').getBoundingClientRect().right,
          prefs: document.querySelector('#prefs').getBoundingClientRect().right,
          panel: document.querySelector('#present .panel').getBoundingClientRect().right,
        }));
        for (const [name, right] of Object.entries(rights)) expect(right, `${name}: ${path} ${settings}`).toBeLessThanOrEqual(width);
      }
    }
  }
});

for (const width of [360, 768, 1920]) {
  test(`nothing sticks out at ${width} pixels`, async ({ page }) => {
    await page.setViewportSize({ width, height: 800 });
    await open(page, `lang=en&${device()}`);
    await done(page);
    await page.keyboard.press('g');
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    for (const panel of ['.sampling', '.badge']) {
      await page.locator(`${panel} summary`).click();
      const box = await page.locator(`${panel} .panel`).boundingBox();
      expect(box.x).toBeGreaterThanOrEqual(0);
      expect(box.x + box.width, panel).toBeLessThanOrEqual(width);
      await page.keyboard.press('Escape');
    }
  });
}

test('a seed that was emptied says what is used instead', async ({ page }) => {
  await open(page, `lang=en&on=causal&temperature=0.8&seed=7&${device()}`);
  await done(page);
  await page.locator('.sampling summary').click();
  const seed = page.locator('[data-setting="seed"]');
  await seed.fill('');
  await expect.poll(() => page.evaluate(() => location.hash)).toContain('seed=0');
  await expect(seed, 'nothing is written under the hands of who types').toHaveValue('');
  await seed.press('Tab');
  await expect(seed).toHaveValue('0');
  await seed.fill('12.5');
  await seed.press('Enter');
  await expect(seed).toHaveValue('12');
});

test('dials that do not count say so', async ({ page }) => {
  await open(page, `lang=en&on=causal&topK=5&${device()}`);
  await page.locator('.sampling summary').click();
  const idle = page.locator('.dial[data-idle]');
  await expect(idle).toHaveCount(3);
  await expect(idle.first()).toHaveAttribute('title', en['settings.idle']);
  await page.locator('[data-setting="temperature"]').fill('0.5');
  await expect(idle).toHaveCount(0);
  await expect(page.locator('[data-setting="topK"]')).toHaveValue('5');
});

test('one element in a bare page works by itself', async ({ page }) => {
  await page.goto('/examples/plain.html');
  await done(page);
  expect(await answer(page.locator('unmasked-demo'))).not.toHaveLength(0);
});

test('which device runs and why is whole on every screen, in both languages', async ({ page }) => {
  await open(page, 'lang=en&device=auto&text=Thank+you!');
  await done(page);
  const summary = page.locator('.badge > summary');
  for (const dictionary of [en, zh]) {
    for (const width of [360, 768, 1024, 1280, 1366, 1440, 1760, 1920]) {
      await page.setViewportSize({ width, height: 900 });
      for (const cause of Object.keys(en).filter((key) => key.startsWith('badge.cpu.'))) {
        const cut = await summary.evaluate((node, words) => [...node.children].slice(0, 2).filter((part, at) => {
          part.textContent = words[at];
          return part.clientWidth === 0 || part.scrollWidth > part.clientWidth;
        }).length, [dictionary['badge.cpu'], dictionary[cause]]);
        expect(cut, `${dictionary[cause]} at ${width}`).toBe(0);
      }
    }
    await page.keyboard.press('l');
  }
});

test('the names of the machines are whole from 1280 pixels on, in both languages', async ({ page }) => {
  await open(page, 'lang=en&device=auto&text=Thank+you!');
  await done(page);
  for (const language of ['en', 'zh-Hans']) {
    await expect(page.locator('html')).toHaveAttribute('lang', language);
    await drawn(page);
    for (const width of [1280, 1366, 1440, 1920]) {
      await page.setViewportSize({ width, height: 800 });
      const cut = await page.locator('unmasked-demo').evaluateAll((demos) => demos.map((demo) => demo.shadowRoot.querySelector('.kin'))
        .filter((kin) => kin.scrollWidth > kin.clientWidth).map((kin) => kin.textContent));
      expect(cut, `at ${width}`).toEqual([]);
    }
    await page.keyboard.press('l');
  }
});

test('the bar is one line at 1440 pixels, whyever it is the CPU', async ({ page }) => {
  await page.setViewportSize({ width: 1440, height: 900 });
  await open(page, 'lang=en&device=auto&text=Thank+you!');
  await done(page);
  const reasons = Object.keys(en).filter((key) => key.startsWith('badge.cpu.')).map((key) => en[key]);
  const heights = await page.locator('.badge > summary').evaluate((node, reasons) => reasons.map((reason) => {
    node.children[1].textContent = reason;
    return document.querySelector('.bar').getBoundingClientRect().height;
  }), reasons);
  expect(Math.max(...heights)).toBeLessThan(50);
});

test('a token that was pinned in one machine is pointed at in all, once nothing else is', async ({ page }) => {
  await open(page, 'lang=en&device=cpu&on=causal,prefix&text=My+sister+wants+to+learn+English.');
  await done(page);
  const [causal, prefix] = ['causal', 'prefix'].map((name) => machine(page, name));
  await prefix.locator('.chip', { hasText: /^wants$/ }).click();
  await causal.locator('.chip', { hasText: /^learn$/ }).hover();
  for (const element of [causal, prefix]) await expect(element.locator('.chip[data-sight="self"]')).toHaveText('learn');
  await page.mouse.move(5, 5);
  for (const element of [causal, prefix]) await expect(element.locator('.chip[data-sight="self"]')).toHaveText('wants');
  await prefix.locator('.chip', { hasText: /^wants$/ }).click();
  await page.mouse.move(5, 5);
  for (const element of [causal, prefix]) await expect(element.locator('.chip[data-sight="self"]')).toHaveCount(0);
});

test('Escape takes a pin away, then the large view', async ({ page }) => {
  await page.setViewportSize({ width: 1400, height: 900 });
  await open(page, 'lang=en&device=cpu&on=causal,prefix&text=My+sister+wants+to+learn+English.');
  await done(page);
  const prefix = machine(page, 'prefix');
  const pinned = prefix.locator('.chip[data-sight="self"]');
  await prefix.locator('.enlarge').click();
  for (const leave of [() => {}, () => page.evaluate(() => { /** @type {any} */ (document.activeElement)?.blur(); })]) {
    await prefix.locator('.chip', { hasText: /^wants$/ }).click();
    await page.mouse.move(5, 5);
    await expect(pinned).toHaveText('wants');
    await leave();
    await page.keyboard.press('Escape');
    await expect(pinned).toHaveCount(0);
    await expect(prefix).toHaveAttribute('enlarged');
  }
  await page.keyboard.press('Escape');
  await expect(prefix).not.toHaveAttribute('enlarged');
});

test('a small screen has two machines and those that the link tells of, and keeps them when it is turned', async ({ page }) => {
  const there = () => page.locator('unmasked-demo').evaluateAll((demos) => demos.map((demo) => demo.getAttribute('architecture')));
  await page.setViewportSize({ width: 390, height: 844 });
  await open(page, `lang=en&${device()}`);
  expect(await there()).toEqual(['encoder', 'causal']);
  await page.goto('about:blank');
  await open(page, `lang=en&${device()}&text=He+is+tired.&mask=prefix.causal&look=encoder-decoder.leak`);
  expect(await there()).toEqual(ARCHITECTURES);
  // What became of one that was told of does not put it away.
  await page.evaluate(() => { location.hash = location.hash.replace('encoder-decoder.leak', 'prefix.leak'); });
  await expect.poll(there).toEqual(['encoder', 'causal', 'prefix']);
  const prefix = machine(page, 'prefix');
  await prefix.scrollIntoViewIfNeeded();
  await expect.poll(() => phase(prefix)).toBe('done');
  await prefix.locator('[data-action="look"]').selectOption('');
  await prefix.locator('[data-action="paint"]').click();
  await prefix.locator('[data-action="reset"]').click();
  await expect.poll(() => page.evaluate(() => location.hash)).not.toContain('prefix');
  for (const size of [{ width: 844, height: 390 }, { width: 390, height: 844 }, { width: 1440, height: 900 }]) {
    await page.setViewportSize(size);
    await drawn(page);
    expect(await there()).toEqual(['encoder', 'causal', 'prefix']);
  }
});

test('a page that is made narrow, or printed, loses nothing', async ({ page }) => {
  await open(page, `lang=en&text=He+is+tired.&${device()}`);
  await done(page);
  const prefix = machine(page, 'prefix');
  await prefix.locator('[data-action="paint"]').click();
  await prefix.locator('[data-action="rule"]').selectOption('causal');
  await done(page);
  const requests = seen.requests.length;
  await page.setViewportSize({ width: 600, height: 900 });
  await drawn(page);
  await page.pdf({ format: 'Letter', margin: { left: '1in', right: '1in' } });
  await page.setViewportSize({ width: 1280, height: 720 });
  await drawn(page);
  await expect(page.locator('unmasked-demo')).toHaveCount(4);
  await expect(prefix.locator('[data-action="paint"]')).toHaveText('done');
  await expect(prefix.locator('[data-action="undo"]')).not.toHaveAttribute('aria-disabled');
  expect(seen.requests.slice(requests).filter((url) => url.endsWith('model.safetensors'))).toEqual([]);
});

test('of another sentence only its own run is said; none at all, and what is uncovered, are said, too', async ({ page }) => {
  await open(page, `lang=en&on=causal,prefix&step=1&text=${encodeURIComponent('The old doctor is tired tonight.')}&${device()}`);
  await done(page);
  await page.evaluate(() => {
    const region = /** @type {Element} */ (document.querySelector('#say'));
    const heard = /** @type {string[]} */ ([]);
    Object.assign(window, { heard });
    new MutationObserver(() => heard.push(region.textContent ?? '')).observe(region, { childList: true, characterData: true, subtree: true });
  });
  const heard = () => page.evaluate(() => /** @type {any} */ (window).heard);
  const next = (name, at) => machine(page, name).evaluate((demo, step) => demo.timeline.steps[step].piece, at);
  // Politely: what was said before rests a while.
  await page.waitForTimeout(1_600);
  const before = (await heard()).length;
  await page.locator('#sentence').fill('We have to go.');
  await expect.poll(async () => (await heard()).length).toBeGreaterThan(before);
  await done(page);
  await page.waitForTimeout(1_600);
  const [causal, prefix] = [await next('causal', 0), await next('prefix', 0)];
  const said = (await heard()).slice(before);
  for (const one of said) {
    expect(one).toContain(`Causal decoder is about to choose ${causal}, `);
    expect(one).toContain(`Prefix decoder is about to choose ${prefix}, `);
  }
  expect(causal).not.toBe('Le');
  await page.locator('#sentence').fill('');
  await expect(page.locator('#say')).toHaveText(en['machine.empty']);
  await page.locator('#sentence').fill('We have to go.');
  await done(page);
  await page.locator('h1').click();
  for (const key of ['c', 'n', 'a']) await page.keyboard.press(key);
  await expect(page.locator('#say')).toHaveText(new RegExp(`^Causal decoder is about to choose ${await next('causal', 1)}, .*Prefix decoder is about to choose ${await next('prefix', 1)}, `));
});

test('an empty sentence is said wherever the clock stood, and no step after it', async ({ page }) => {
  await open(page, `lang=en&on=causal&step=3&text=${encodeURIComponent('The old doctor is tired tonight.')}&${device()}`);
  await done(page);
  await page.locator('#sentence').fill('');
  await expect(page.locator('#say')).toHaveText(en['machine.empty']);
  // Whatever else there was to say once the page is drawn again would be said after a rest.
  await page.locator('#theme').click();
  await page.waitForTimeout(2_000);
  await expect(page.locator('#say')).toHaveText(en['machine.empty']);
  await page.locator('#sentence').fill('We have to go.');
  await done(page);
  await expect(page.locator('#say')).toHaveText(/^Step 0\. Causal decoder is about to choose /);
});

test('dials stand where an address put them, however far', async ({ page }) => {
  await open(page, `lang=en&on=causal&temperature=5&topK=100&topP=0.01&${device()}`);
  await page.locator('.sampling summary').click();
  const dial = (name) => page.locator(`[data-setting="${name}"]`);
  for (const [name, value] of [['temperature', '5'], ['topK', '100'], ['topP', '0.01']]) await expect(dial(name)).toHaveValue(value);
  await dial('temperature').press('ArrowLeft');
  await expect(dial('temperature')).toHaveValue('4.9');
  await expect.poll(() => page.evaluate(() => location.hash)).toContain('temperature=4.9');
  await dial('topK').press('ArrowLeft');
  await expect(dial('topK')).toHaveValue('99');
});
