import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';
import { attributesOf } from '../../www/page/embed.js';

test('an empty query is a causal machine with the page\'s defaults', () => {
  const { attributes, theme } = attributesOf('');
  assert.deepEqual({ architecture: attributes.architecture, text: attributes.text, view: attributes.view, controls: attributes.controls, autoplay: attributes.autoplay },
    { architecture: 'causal', text: null, view: null, controls: null, autoplay: false });
  assert.deepEqual([theme, attributes.start, attributesOf('').letters, attributesOf('?keys=off').letters], ['auto', null, true, false]);
});

test('settings are read, in whatever order and spelling a query has', () => {
  const { attributes, theme } = attributesOf('?text=Where+is+the+cat%3F&architecture=prefix&view=candidates,mask&controls=step+play&layer=2&head=all&theme=dark&step=3&autoplay&blanks=1.4&topK=5');
  assert.equal(attributes.architecture, 'prefix');
  assert.equal(attributes.text, 'Where is the cat?');
  assert.equal(attributes.view, 'mask candidates');
  assert.equal(attributes.controls, 'step play');
  assert.deepEqual([attributes.layer, attributes.head, attributes.topk, attributes.blanks], [2, 'all', 5, '1 4']);
  assert.deepEqual([attributes.theme, theme, attributes.start, attributes.autoplay], ['dark', 'dark', 3, true]);
});

test('a run may be shown from its end', () => {
  assert.equal(attributesOf('?step=end').attributes.start, 'end');
});

test('a mask is a rule that can be chosen, and a language a number', () => {
  const read = (query) => { const { mask, language } = attributesOf(query).attributes; return [mask, language]; };
  assert.deepEqual(read('?mask=prefix&language=250008'), ['prefix', 250008]);
  assert.deepEqual(read('?mask=full&language=0'), ['full', 0]);
  assert.deepEqual(read('?mask=causal%2Bwindow:3&language=7'), ['causal+window:3', 7]);
  assert.deepEqual(read('?mask=causal+window:3+source:1'), ['causal+window:3+source:1', null], 'as the docs spell it');
  assert.equal(attributesOf('?sourceLanguage=250004').attributes.sourcelanguage, 250004);
  for (const query of ['', '?mask=&language=', '?mask=prefix:0&language=-1', '?mask=<b>&language=1e3', '?mask=Full&language=1234567890', '?mask=constructor&language=fr_XX']) {
    assert.deepEqual(read(query), [null, null], query);
    assert.equal(attributesOf(query.replace('language', 'sourceLanguage')).attributes.sourcelanguage, null, query);
  }
});

test('what a query must not say is left out', () => {
  const { attributes } = attributesOf('?architecture=evil&model=https://elsewhere.example/&trace=//elsewhere.example/x.json&view=<b>&controls=onclick&device=tpu&lang=../x&layer=-1');
  assert.equal(attributes.architecture, 'causal');
  assert.equal(attributes.device, 'auto');
  assert.deepEqual([attributes.view, attributes.controls, attributes.lang, attributes.layer], [null, null, null, null]);
  assert.ok(!('model' in attributes) && !('trace' in attributes) && !('scene' in attributes));
});

test('every attribute that the docs name can be said by an address, but those that load from elsewhere', async () => {
  const docs = await readFile(new URL('../../docs/embedding.md', import.meta.url), 'utf8');
  const names = [...docs.matchAll(/^\| (`.*?`) \|/gm)].flatMap(([, cell]) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name));
  const values = {
    architecture: 'prefix', family: 'zh-en', device: 'cpu', text: 'a', pair: 'b', blanks: '1 4', fill: 'confidence', forced: '2.117', mask: 'full', edits: 'd5.3h', silenced: 'd6.1', look: 'leak', exchange: 'd3', way: 'noise',
    language: '7', sourcelanguage: '8', temperature: '0.5', topk: '3', topp: '0.9', seed: '4', max: '12', layer: '2', head: 'all', view: 'mask', controls: 'step', start: '3',
    autoplay: 'true', covered: 'true', lang: 'zh', theme: 'dark',
  };
  const spelled = { topk: 'topK', topp: 'topP', sourcelanguage: 'sourceLanguage', start: 'step', covered: 'cover' };
  const refused = ['model', 'trace', 'scene'];
  assert.deepEqual(names.filter((name) => !refused.includes(name)).sort(), Object.keys(values).sort());
  for (const [name, value] of Object.entries(values)) {
    const { attributes } = attributesOf(`?${new URLSearchParams({ [spelled[name] ?? name]: value })}`);
    assert.equal(String(attributes[name]), value, name);
  }
  for (const name of refused) assert.equal(attributesOf(`?${name}=x`).attributes[name], undefined, name);
});
