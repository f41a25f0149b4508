/** A machine's mask, as a test changes it and reads it. */

export const TEXT = 'The old doctor is tired tonight.';
export const address = (settings) => `lang=en&device=cpu&text=${encodeURIComponent(TEXT)}&${settings}`;
export const press = (element, action) => element.locator(`[data-action="${action}"]`).click();
/** What stands in the matrix's place: nothing = the matrix. */
export const look = (element, name = '') => element.locator('[data-action="look"]').selectOption(name);
export const edits = (element) => element.evaluate((demo) => demo.getAttribute('edits') ?? '');
export const words = (element) => element.locator('.painting-words');

/** The middle of a cell on the screen: of the last grid, or of the named one (encoder-decoder: encoder, cross, decoder). */
export const spot = (element, row, key, block = -1) => element.evaluate((demo, { row: r, key: k, block: at }) => {
  const svg = demo.shadowRoot.querySelector('.mask svg');
  const { x, y } = svg.getBoundingClientRect();
  // The edge is a path of one rectangle a grid: where it starts, its columns and its rows.
  const grids = [...svg.querySelector('.edge').getAttribute('d').matchAll(/M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)/g)].map((found) => found.slice(1).map(Number));
  const { blocks } = demo.timeline.frame(demo.position);
  const grid = grids.at(at);
  const cell = grid[2] / blocks.at(at).keys;
  return { x: x + grid[0] + (k + 0.5) * cell, y: y + grid[1] + (r + 0.5) * cell };
}, { row, key, block });

export async function stroke(page, element, cells, block) {
  const spots = [];
  for (const [row, key] of cells) spots.push(await spot(element, row, key, block));
  await page.mouse.move(spots[0].x, spots[0].y);
  await page.mouse.down();
  for (const { x, y } of spots.slice(1)) await page.mouse.move(x, y);
  await page.mouse.up();
}

export const visible = (element, name, row, key) => element.evaluate((demo, at) => demo.timeline.frame(demo.position).blocks
  .find((block) => block.name === at.name).visible(at.row, at.key), { name, row, key });

/** Who can know what of the tokens that are shown, as an engine of its own tells it under what was asked for. */
export const reach = (element) => element.evaluate(async (demo) => {
  const [{ loadEngine }, { requestOf }, { maskUnder }, { settingsOf }, { masksOf }] = await Promise.all(
    ['engine.js', 'leak.js', 'edits.js', 'element-settings.js', 'machine-masks.js'].map((name) => import(`/${name}`)));
  const engine = await loadEngine(`/models/en-fr-${demo.architecture}-int8/`, { device: 'cpu' });
  const settings = settingsOf(demo);
  const { masks, max_positions: most } = engine.describe();
  const mask = maskUnder(settings.edits, await masksOf(engine, settings), { sites: Object.keys(masks), most });
  const told = await engine.reach({ ...requestOf(demo.timeline.frame(demo.position)), mask });
  engine.free();
  return told;
});
