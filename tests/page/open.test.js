import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';

test('open.html is index.html with a panel, and a policy that lets it ask others by https', async () => {
  const [index, open] = await Promise.all(['index.html', 'open.html'].map((name) => readFile(new URL(`../../www/${name}`, import.meta.url), 'utf8')));
  // Each asks for its own modules at once; tests/browser/page/requests.spec.js holds them against what it imports.
  const plain = (page) => page.replace(/<link rel="modulepreload".*\n/g, '');
  const expected = plain(index)
    .replace("connect-src 'self';", "connect-src 'self' https:;")
    .replace('<link rel="stylesheet" href="page.css">\n', '<link rel="stylesheet" href="page.css">\n<link rel="stylesheet" href="open.css">\n')
    .replace('src="app.js"', 'src="open.js"')
    .replace('</header>\n', '</header>\n\n<section id="open" class="open" hidden></section>\n');
  assert.equal(plain(open), expected);
});

test('README names the policy that a host may send with the worker: that of index.html', async () => {
  const [index, readme] = await Promise.all(['www/index.html', 'README.md'].map((name) => readFile(new URL(`../../${name}`, import.meta.url), 'utf8')));
  const policy = /http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(index)?.[1] ?? assert.fail('no policy');
  assert.ok(readme.replace(/\s+/g, ' ').includes(`\`Content-Security-Policy: ${policy}\``));
});
