/**
 * Opens a checkpoint of GPT-2's size on open.html, as a person would, in a browser that may have so much memory and no more:
 *
 *   node tests/bench/limited.mjs ADDRESS FOLDER MEGABYTES [cpu|webgpu]
 *
 * ADDRESS is that of `cargo xtask serve`, FOLDER one that `tests/bench/random.mjs` wrote. The limit is a control group's,
 * so it needs Linux and root; what the browser's processes read from files counts as long as it fits and goes first.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { argv, env, exit, pid } from 'node:process';
import { chromium } from 'playwright-core';

const [, , address, folder, megabytes, device = 'cpu'] = argv;
if (!address || !folder || !(Number(megabytes) > 0)) {
  console.error('usage: node tests/bench/limited.mjs ADDRESS FOLDER MEGABYTES [cpu|webgpu]');
  exit(2);
}

/** Version 1 and 2 of control groups name the same things otherwise. */
const [root, limit, most, procs] = existsSync('/sys/fs/cgroup/memory/memory.limit_in_bytes')
  ? ['/sys/fs/cgroup/memory', 'memory.limit_in_bytes', 'memory.max_usage_in_bytes', 'cgroup.procs']
  : ['/sys/fs/cgroup', 'memory.max', 'memory.peak', 'cgroup.procs'];
const group = join(root, `unmasked-${pid}`);
mkdirSync(group);
writeFileSync(join(group, limit), String(Number(megabytes) * 2 ** 20));
writeFileSync(join(group, procs), String(pid));

const browser = await chromium.launch({
  executablePath: env.UNMASKED_CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-background-networking', ...(device === 'webgpu' ? ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'] : ['--disable-gpu'])],
});
const page = await browser.newPage();
page.on('crash', () => { console.error('the page crashed'); exit(1); });
await page.goto(`${address}/open.html#lang=en&device=${device}&on=none&text=t5+t9+t200`);
const start = Date.now();
await page.locator('#open [data-choose="files"]').setInputFiles(['config.json', 'tokenizer.json', 'model.safetensors'].map((name) => join(folder, name)));
const demo = page.locator('unmasked-demo[data-place^="opened"]');
await demo.waitFor({ state: 'attached', timeout: 300_000 });
await page.waitForFunction(() => ['done', 'error'].includes(document.querySelector('unmasked-demo[data-place^="opened"]')?.phase), null, { timeout: 600_000 });
const told = await demo.evaluate(async (element) => ({
  phase: element.phase, error: element.error?.message, tokens: element.timeline?.length, ...(await (await import('/engine.js')).usage()),
}));
console.log(JSON.stringify({ device, limit_mb: Number(megabytes), seconds: (Date.now() - start) / 1e3,
  most_mb: Math.round(Number(readFileSync(join(group, most), 'utf8')) / 2 ** 20), ...told }));
await browser.close();
exit(told.phase === 'done' ? 0 : 1);
