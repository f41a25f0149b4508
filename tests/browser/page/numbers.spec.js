/** The numbers in a matrix: a large cell carries its attention, as the frame tells it; a small one carries none. */
import { expect, test } from '@playwright/test';
import { done, drawn, machine, open } from '../machines.js';

/** What stands in the cells (by where it stands), and what the frame tells of each; `layer` counts from 1, `head` as well. */
const read = (element, layer, head) => element.evaluate((demo, shown) => {
  const svg = demo.shadowRoot.querySelector('.mask svg');
  const { blocks, layers } = demo.timeline.frame(demo.position);
  // The edge is a path of one rectangle a grid: where it starts, its columns and its rows.
  const grids = [...svg.querySelector('.edge').getAttribute('d').matchAll(/M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)/g)].map((found) => found.slice(1).map(Number));
  const written = {};
  for (const node of svg.querySelectorAll('.numbers text')) {
    const [x, y] = ['x', 'y'].map((name) => Number(node.getAttribute(name)));
    const at = grids.findIndex(([left, top, width, height]) => x > left && x < left + width && y > top && y < top + height);
    const size = grids[at][2] / blocks[at].keys;
    const cell = `${blocks[at].name} ${Math.floor((y - grids[at][1]) / size)} ${Math.floor((x - grids[at][0]) / size)}`;
    written[cell] = (written[cell] ?? []).concat(node.textContent);
  }
  const [seen, hidden] = [{}, []];
  for (const block of blocks) {
    for (let row = 0; row < block.rows; row += 1) {
      const weights = block.attention(Math.min(shown.layer, layers[block.name]) - 1, shown.head - 1, row);
      for (let key = 0; key < block.keys; key += 1) {
        const cell = `${block.name} ${row} ${key}`;
        if (block.visible(row, key)) seen[cell] = weights[key];
        else hidden.push(cell);
      }
    }
  }
  return { written, seen, hidden, size: grids[0][2] / blocks[0].keys * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width };
}, { layer, head });

for (const [architecture, grids, hides] of [['encoder', 1, false], ['causal', 1, true], ['encoder-decoder', 3, true]]) {
  test(`${architecture}, alone and large: each cell that is seen has the attention of its row, key, layer and head`, async ({ page }) => {
    await page.setViewportSize({ width: 1440, height: 1000 });
    await open(page, `lang=en&device=cpu&on=${architecture}&step=2&layer=2&head=3&text=Thank+you!`);
    await done(page);
    const element = machine(page, architecture);
    const check = async (layer, head) => {
      const { written, seen, hidden, size } = await read(element, layer, head);
      expect(size).toBeGreaterThanOrEqual(30);
      expect(new Set(Object.keys(seen).map((cell) => cell.split(' ')[0])).size).toBe(grids);
      expect(hidden.length > 0).toBe(hides);
      expect(Object.keys(written).filter((cell) => hidden.includes(cell)), 'hidden cells have none').toEqual([]);
      // What would be 0 is not written.
      expect(Object.keys(written).sort()).toEqual(Object.keys(seen).filter((cell) => seen[cell] >= 0.005).sort());
      for (const [cell, texts] of Object.entries(written)) {
        expect(texts, cell).toEqual([expect.stringMatching(/^(1|\.\d\d)$/)]);
        expect(Math.abs(Number(texts[0]) - seen[cell]), `${cell}: ${texts[0]} for ${seen[cell]}`).toBeLessThan(0.0051);
      }
      return written;
    };
    const before = await check(2, 3);
    expect(Object.keys(before).length).toBeGreaterThan(8);
    await page.locator('[data-setting="layer"]').selectOption('3');
    await page.locator('[data-setting="head"]').selectOption('1');
    await drawn(page);
    expect(await check(3, 1)).not.toEqual(before);
    // A step further has a row more, with its own; where it is no encoder.
    await page.keyboard.press('n');
    await drawn(page);
    await check(3, 1);

    // Heads beside one another are small, as a phone's matrix is.
    await page.locator('[data-setting="head"]').selectOption('all');
    await expect(element.locator('.mask svg')).not.toHaveCount(1);
    await drawn(page);
    await expect(element.locator('.numbers text')).toHaveCount(0);
  });
}

test('small cells have none', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await open(page, `lang=en&device=cpu&on=causal&step=end&text=${encodeURIComponent('My sister wants to learn English.')}`);
  await done(page);
  const { written, seen, size } = await read(machine(page, 'causal'), 1, 1);
  expect(size).toBeLessThan(30);
  expect(Object.values(seen).some((weight) => weight > 0.1)).toBe(true);
  expect(written).toEqual({});
});
