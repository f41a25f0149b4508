/**
 * The browser tests: Chromium with WebGPU (SwiftShader computes it where there is no graphics card) and without.
 *
 * `cargo xtask test` builds the engine, serves it and names the server and the browser in the environment. Run by
 * hand (`npx playwright test --config tests/browser/playwright.config.js`), both are found here.
 */
import { existsSync } from 'node:fs';
import { defineConfig } from '@playwright/test';

const { UNMASKED_URL, UNMASKED_CHROMIUM, UNMASKED_REPORT, CI } = process.env;
const PORT = 8990;

const browsers = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'];

// Without the background flags Chromium asks its maker's servers for updates; a test speaks to this machine only.
const quiet = ['--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync'];

/** Chromium with these flags. A container's root cannot have the sandbox, and loads nothing foreign here. */
const chromium = (...flags) => ({
  browserName: 'chromium',
  launchOptions: {
    executablePath: UNMASKED_CHROMIUM ?? browsers.find(existsSync),
    args: [...quiet, '--no-sandbox', ...flags],
  },
});

export default defineConfig({
  testDir: '.',
  outputDir: 'results/output',
  // A model on a software adapter shares its cores with everything else that runs.
  workers: 1,
  timeout: 120_000,
  expect: { timeout: 20_000 },
  forbidOnly: Boolean(CI),
  reporter: UNMASKED_REPORT ? [['list'], ['json', { outputFile: UNMASKED_REPORT }]] : 'list',
  use: { baseURL: UNMASKED_URL ?? `http://127.0.0.1:${PORT}`, screenshot: 'only-on-failure' },
  webServer: UNMASKED_URL ? undefined : {
    command: `cargo xtask serve --no-open --test-pages --port ${PORT}`,
    url: `http://127.0.0.1:${PORT}/`,
    timeout: 900_000,
    reuseExistingServer: true,
  },
  projects: [
    // The engine's tests, and those of the page that are marked: the others would only be slower here. A test of one
    // device alone is no test of the other, and not a skipped one either: that word is kept for what is missing.
    { name: 'webgpu', grep: /engine\/|@gpu/, grepInvert: /@cpu-only/, use: chromium('--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader') },
    { name: 'no-webgpu', grepInvert: /@gpu-only/, use: chromium('--disable-gpu') },
  ],
});
