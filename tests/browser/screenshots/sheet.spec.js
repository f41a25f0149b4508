/** Every state of the page as a picture, in light and dark, and one sheet of them all: `cargo xtask screenshots`. */
import { test } from '@playwright/test';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { STATES, opener } from '../states.js';

const FOLDER = fileURLToPath(new URL('../../../target/screenshots/', import.meta.url));
const WIDTH = 480;
/** @type {Map<string, string>} state and theme -> file */
const taken = new Map();

test.describe.configure({ mode: 'default' });
test.beforeAll(() => {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
});

for (const theme of ['light', 'dark']) {
  for (const { name, size, bring } of STATES) {
    test(`${name}, ${theme}`, async ({ page }) => {
      await page.setViewportSize(size);
      await bring(page, opener(page, theme));
      await page.waitForTimeout(300);
      const file = join(FOLDER, `${name.replaceAll(/[^a-zA-Z0-9]+/g, '-')}-${theme}.png`);
      await page.screenshot({ path: file });
      taken.set(`${name}, ${theme}`, file);
    });
  }
}

test('one sheet of them all', async ({ page }) => {
  test.skip(taken.size === 0, 'no picture was taken in this process');
  await page.setViewportSize({ width: 4 * WIDTH + 80, height: 800 });
  await page.setContent(`<!doctype html><title>Contact sheet</title><style>
    body { margin: 16px; display: grid; grid-template-columns: repeat(4, ${WIDTH}px); gap: 16px; align-items: start; background: #888; font: 600 15px sans-serif; color: #fff; }
    figure { margin: 0; } img { display: block; width: 100%; }
  </style>`);
  await page.evaluate((pictures) => document.body.append(...pictures.map(([name, data]) => {
    const figure = document.createElement('figure');
    const caption = document.createElement('figcaption');
    caption.textContent = name;
    const image = new Image();
    image.src = data;
    figure.append(caption, image);
    return figure;
  })), [...taken].sort().map(([name, file]) => [name, `data:image/png;base64,${readFileSync(file).toString('base64')}`]));
  await page.waitForFunction(() => [...document.images].every((image) => image.complete));
  await page.screenshot({ path: join(FOLDER, 'contact-sheet.png'), fullPage: true });
});
