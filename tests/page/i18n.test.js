import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import test from 'node:test';
import en from '../../www/i18n/en.js';
import { chooseLanguage, translator } from '../../www/i18n/index.js';
import zh from '../../www/i18n/zh.js';

const holes = (text) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

test('the dictionaries have the same keys and the same holes', () => {
  assert.deepEqual(Object.keys(zh).sort(), Object.keys(en).sort());
  for (const key of Object.keys(en)) assert.deepEqual(holes(zh[key]), holes(en[key]), key);
});

test('every key that the page asks for is there', async () => {
  const www = new URL('../../www/', import.meta.url);
  const files = (await Promise.all(['', 'views/', 'page/'].map(async (folder) => (await readdir(new URL(folder, www)))
    .filter((name) => /\.(js|html)$/.test(name)).map((name) => folder + name)))).flat();
  for (const file of files) {
    const source = await readFile(new URL(file, www), 'utf8');
    for (const [, key] of source.matchAll(/(?:\bt\(|data-say=)['"]([\w.-]+)['"]/g)) assert.ok(key in en, `${file}: ${key}`);
  }
});

test('holes are filled, unknown keys shown as they are, and values are plain text', () => {
  const t = translator('en');
  assert.equal(t('clock.at', { n: 2, of: 5 }), 'step 2 of 5');
  assert.equal(t('no.such.key'), 'no.such.key');
  assert.equal(t('clock.at', { n: '{of}', of: '<b>' }), 'step {of} of <b>');
});

test('the language asked for wins, then the browser, then English', () => {
  assert.equal(chooseLanguage('zh', ['en-GB']), 'zh');
  assert.equal(chooseLanguage('', ['fr-FR', 'zh-CN']), 'zh');
  assert.equal(chooseLanguage('xx', ['fr']), 'en');
  assert.equal(chooseLanguage('__proto__', []), 'en');
});
