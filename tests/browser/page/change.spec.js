/** What a person changes of how a model attends, on either device: the same tokens, and rows that stay the same bit for bit. */
import { expect, test } from '@playwright/test';
import { answer, done, machine, open } from '../machines.js';
import { TEXT } from '../masks.js';

const device = () => (test.info().project.name === 'webgpu' ? 'device=webgpu' : 'device=cpu');
const CHANGES = 'mask=causal.full_prefix.prefix:3_encoder-decoder.causal%2Bwindow:3_encoder.window:3&silenced=causal.d6.1_encoder-decoder.c2.3';

test('other rules and silenced heads choose the tokens that the CPU chooses, and a leak is one on either', { tag: '@gpu' }, async ({ page }) => {
  const text = encodeURIComponent(TEXT);
  await open(page, `lang=en&text=${text}&${CHANGES}&look=causal.leak_prefix.leak_encoder-decoder.leak&${device()}`);
  await done(page);
  const machines = ['encoder', 'causal', 'prefix', 'encoder-decoder'].map((name) => machine(page, name));
  const answers = await Promise.all(machines.map(answer));
  const [, causal, prefix, wired] = machines;
  // Seen by everybody, and by those whom a prefix lets; a window tells the rows behind it alone.
  await expect(causal.locator('.leak-words')).toContainText('Rows before it that change: 6 of 6');
  await expect(prefix.locator('.leak-words')).toContainText('The rows before it stay the same, bit for bit: 6 of 6.');
  // What its answer begins with is not exchanged: its first word is.
  await page.keyboard.press('n');
  await wired.locator('.exchange[data-value="d1"]').click();
  await expect(wired.locator('.leak-words')).toContainText('The source stays the same, bit for bit.');
  await page.evaluate((hash) => { location.hash = hash; }, `lang=en&text=${text}&${CHANGES}&device=cpu`);
  await expect.poll(() => causal.evaluate((demo) => demo.deviceInfo?.backend)).toBe('cpu');
  await done(page);
  expect(await Promise.all(machines.map(answer))).toEqual(answers);
});
