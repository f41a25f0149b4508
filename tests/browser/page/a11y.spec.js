/** What axe finds wrong for people who see, hear or move differently. */
import AxeBuilder from '@axe-core/playwright';
import { expect, test } from '@playwright/test';
import { done, open } from '../machines.js';

/** Each finding with the elements that it speaks of, so that a failure can be acted on. */
async function findings(page) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations.map(({ id, help, nodes }) => `${id} (${help}): ${nodes.map((node) => node.target.join(' ')).join(', ')}`);
}

for (const theme of ['light', 'dark']) {
  for (const lang of ['en', 'zh']) {
    test(`axe finds nothing in the ${theme} page (${lang})`, async ({ page }) => {
      await page.emulateMedia({ reducedMotion: 'reduce' });
      await open(page, `lang=${lang}&theme=${theme}&device=cpu`);
      await done(page);
      await page.keyboard.press('g');
      expect(await findings(page)).toEqual([]);
      await page.keyboard.press('h');
      await expect(page.locator('#help-dialog')).toBeVisible();
      expect(await findings(page)).toEqual([]);
    });
  }
}
