/** An element that its author, or a link, gave forced choices: what a person forces there goes over them. */
import { expect, test } from '@playwright/test';
import { done, host, machine, open } from '../machines.js';
import { TEXT, address, press, stroke } from '../masks.js';

const told = (element) => element.evaluate((demo) => [demo.choices, demo.forced]);
/** The candidates of a step, but for the one that is chosen. */
const others = (element, at) => element.evaluate((demo, step) => {
  const { candidates, chosen } = demo.timeline.steps[step];
  return candidates.map(({ id }) => id).filter((id) => id !== chosen);
}, at);
const choose = async (page, element, at, id) => {
  await element.evaluate((demo, [step, one]) => { demo.seek(step); demo.force(one); }, [at, id]);
  await done(page);
};

test('what a person forced goes over what the attribute said, and stays while the mask is painted', async ({ page }) => {
  await host(page, `<unmasked-demo architecture="causal" device="cpu" text="${TEXT}" controls="step play"></unmasked-demo>`);
  await done(page);
  const element = page.locator('unmasked-demo');
  const own = await element.evaluate((demo) => demo.timeline.steps[0].chosen);
  const [first, second] = await others(element, 0);
  await element.evaluate((demo, id) => { demo.forced = `0.${id}`; }, first);
  await done(page);
  expect(await told(element)).toEqual([`0.${first}`, `0.${first}`]);
  // Another one, and one after it.
  await choose(page, element, 0, second);
  const [later] = await others(element, 2);
  await choose(page, element, 2, later);
  expect(await told(element)).toEqual([`0.${second}.2.${later}`, `0.${second}.2.${later}`]);
  await press(element, 'paint');
  // Of a row that chooses after them.
  await stroke(page, element, [[11, 1]]);
  await done(page);
  expect(await told(element)).toEqual([`0.${second}.2.${later}`, `0.${second}.2.${later}`]);
  await press(element, 'undo');
  await done(page);
  expect(await told(element)).toEqual([`0.${second}.2.${later}`, `0.${second}.2.${later}`]);
  // The model's own: nothing is forced any more, whatever is painted then.
  await choose(page, element, 0, own);
  expect(await told(element)).toEqual(['', '']);
  await element.evaluate((demo) => { demo.silenced = 'd1.1'; });
  await done(page);
  expect(await told(element)).toEqual(['', '']);
  // What its author says later counts.
  await element.evaluate((demo, id) => { demo.silenced = null; demo.forced = `0.${id}`; }, first);
  await done(page);
  expect(await told(element)).toEqual([`0.${first}`, `0.${first}`]);
});

test('what a person forced is of one sentence; what the author said is said of the next one, too', async ({ page }) => {
  await host(page, `<unmasked-demo architecture="causal" device="cpu" text="${TEXT}"></unmasked-demo>`);
  await done(page);
  const element = page.locator('unmasked-demo');
  const [first, second] = await others(element, 0);
  await element.evaluate((demo, id) => { demo.forced = `0.${id}`; }, first);
  await done(page);
  const read = async (text) => {
    await element.evaluate((demo, to) => { demo.text = to; }, text);
    await done(page);
  };
  await read(`${TEXT} `);
  expect(await element.getAttribute('forced')).toBe(`0.${first}`);
  await choose(page, element, 0, second);
  await read(TEXT);
  expect(await told(element)).toEqual(['', '']);
});

test('another blank is another question: what a link forced is none of it', async ({ page }) => {
  await host(page, `<unmasked-demo architecture="encoder" device="cpu" text="${TEXT}" blanks="2"></unmasked-demo>`);
  await done(page);
  const element = page.locator('unmasked-demo');
  const [other] = await others(element, 0);
  await element.evaluate((demo, id) => { demo.forced = `0.${id}`; }, other);
  await done(page);
  expect(await told(element)).toEqual([`0.${other}`, `0.${other}`]);
  await element.locator('.chip', { hasText: /^tired$/ }).click();
  await done(page);
  expect(await element.evaluate((demo) => demo.blanked)).toEqual([2, 4]);
  expect(await told(element)).toEqual(['', '']);
});

test('on the page an address says what is forced, whatever else of it is another', async ({ page }) => {
  await open(page, address('on=encoder&blanks=2'));
  await done(page);
  const element = machine(page, 'encoder');
  const [first, second] = await others(element, 0);
  const go = async (settings) => {
    await page.evaluate((hash) => { location.hash = hash; }, address(`on=encoder&blanks=2&${settings}`));
    await expect.poll(() => element.evaluate((demo) => demo.fill)).toBe(settings.includes('confidence') ? 'confidence' : 'parallel');
    await done(page);
  };
  await page.evaluate((hash) => { location.hash = hash; }, address(`on=encoder&blanks=2&forced=encoder.0.${first}`));
  await expect.poll(() => told(element)).toEqual([`0.${first}`, `0.${first}`]);
  await choose(page, element, 0, second);
  await go(`fill=confidence&forced=encoder.0.${second}`);
  expect(await told(element)).toEqual([`0.${second}`, `0.${second}`]);
  await go('');
  expect(await told(element)).toEqual(['', '']);
});
