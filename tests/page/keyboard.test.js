import assert from 'node:assert/strict';
import test from 'node:test';
import { actionOf } from '../../www/page/keyboard.js';

const body = { tagName: 'BODY' };

test('every key of the lessons has its action', () => {
  const keys = { ' ': 'toggle', ArrowLeft: 'back', ArrowRight: 'step', n: 'step', G: 'end', r: 'restart', L: 'language', h: 'help' };
  for (const [key, action] of Object.entries(keys)) assert.equal(actionOf({ key }, body), action, key);
});

test('a presenter’s remote steps in the presenter’s view, and scrolls the page else', () => {
  for (const [key, action] of [['PageDown', 'step'], ['PageUp', 'back']]) {
    assert.equal(actionOf({ key }, body, true), action);
    assert.equal(actionOf({ key }, body), null);
    assert.equal(actionOf({ key }, { tagName: 'INPUT' }, true), null);
  }
});

test('held down, a key that turns something on does not turn it off again', () => {
  for (const key of ['p', 'c', 'l', 'h', 'a']) assert.equal(actionOf({ key, repeat: true }, body, true), null, key);
  assert.equal(actionOf({ key: 'ArrowRight', repeat: true }, body), 'step');
});

test('where letters are no keys, none of them acts, nor does any other sign; all else does', () => {
  const act = (/** @type {string} */ key) => actionOf({ key }, body, true, false);
  for (const key of 'nNgGrRlLhHpPcCaA?'.split('')) assert.equal(act(key), null, key);
  for (const [key, action] of Object.entries({ ' ': 'toggle', ArrowLeft: 'back', ArrowRight: 'step', PageDown: 'step', PageUp: 'back', Escape: 'leave' })) assert.equal(act(key), action, key);
});

test('a menu lets the remote and the ways out pass while a class looks on', () => {
  const menu = { tagName: 'SELECT' };
  assert.deepEqual(['PageDown', 'PageUp', 'Escape', 'p'].map((key) => actionOf({ key }, menu, true)), ['step', 'back', 'leave', 'present']);
  for (const key of ['PageDown', 'Escape', 'p']) assert.equal(actionOf({ key }, menu), null, key);
  assert.equal(actionOf({ key: 'n' }, menu, true), null);
});

test('a field keeps its keys, a button its space', () => {
  for (const tagName of ['INPUT', 'TEXTAREA', 'SELECT']) assert.equal(actionOf({ key: 'n' }, { tagName }), null, tagName);
  assert.equal(actionOf({ key: ' ' }, { tagName: 'BUTTON' }), null);
  assert.equal(actionOf({ key: 'n' }, { tagName: 'BUTTON' }), 'step');
  assert.equal(actionOf({ key: 'n' }, { tagName: 'DIV', isContentEditable: true }), null);
});

test('a slider keeps the keys that move it, and no others', () => {
  const slider = { tagName: 'INPUT', type: 'range' };
  for (const key of ['ArrowLeft', 'ArrowRight']) assert.equal(actionOf({ key }, slider), null, key);
  assert.deepEqual([' ', 'n', 'g', 'h'].map((key) => actionOf({ key }, slider)), ['toggle', 'step', 'end', 'help']);
  assert.equal(actionOf({ key: ' ' }, { tagName: 'INPUT', type: 'checkbox' }), null);
});

test('tables that scroll keep the keys that scroll them', () => {
  const tables = { tagName: 'DIV', getAttribute: (name) => (name === 'role' ? 'region' : null) };
  for (const key of [' ', 'ArrowLeft', 'ArrowRight']) assert.equal(actionOf({ key }, tables), null, key);
  assert.equal(actionOf({ key: 'n' }, tables), 'step');
  assert.equal(actionOf({ key: ' ' }, { ...tables, getAttribute: () => null }), 'toggle');
});

test('keys with modifiers, handled keys and input methods are left alone', () => {
  for (const more of [{ ctrlKey: true }, { metaKey: true }, { altKey: true }, { defaultPrevented: true }, { isComposing: true }]) {
    assert.equal(actionOf({ key: 'r', ...more }, body), null);
  }
  assert.equal(actionOf({ key: 'constructor' }, body), null);
});
