/** What is pointed at in one machine is lit in the others, and no longer than it is pointed at. */
import { expect, test } from '@playwright/test';
import { done, drawn, machine, open } from '../machines.js';
import { address } from '../masks.js';

const lit = (page) => page.locator('.chip[data-sight]');
const chip = (page, name, word) => machine(page, name).locator('.chip', { hasText: new RegExp(`^${word}$`) });

test('a word that is blanked where it is pointed at stays lit nowhere', async ({ page }) => {
  await open(page, address('step=0'));
  await done(page);
  const encoder = machine(page, 'encoder');
  // By touch the pointer leaves when the next thing is touched.
  const word = chip(page, 'encoder', 'doctor');
  await word.hover();
  await expect(machine(page, 'causal').locator('.chip[data-sight="self"]')).toHaveCount(1);
  await word.click();
  await done(page);
  await page.locator('h1').hover();
  await drawn(page);
  await expect(lit(page)).toHaveCount(0);
  // By key.
  await encoder.locator('.chip[tabindex="0"]').focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowRight');
  await expect(lit(page).first()).toBeVisible();
  await page.keyboard.press('Enter');
  await done(page);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Escape');
  await drawn(page);
  await expect(lit(page)).toHaveCount(0);
});

test('a pin goes with its machine, and with its run', async ({ page }) => {
  await open(page, address('step=3'));
  await done(page);
  const pin = async () => {
    await chip(page, 'causal', 'doctor').click();
    await page.locator('h1').hover();
    await expect(machine(page, 'prefix').locator('.chip[data-sight="self"]')).toHaveCount(1);
  };
  await pin();
  const toggle = page.locator('.toggle[data-place="causal"]');
  await toggle.click();
  await drawn(page);
  await expect(lit(page)).toHaveCount(0);
  await toggle.click();
  await done(page);
  await pin();
  await page.evaluate(() => { location.hash = `${location.hash}&mask=causal.full`; });
  await done(page);
  await expect(lit(page)).toHaveCount(0);
});
