import assert from 'node:assert/strict';
import test from 'node:test';
import { Clock } from '../../www/clock.js';

/** A clock whose time passes when told to, over a run that can grow. */
function setUp({ available = 3, ended = true, renewed = false } = {}) {
  const run = { available, ended, renewed, changes: 0, due: null, wait: 0 };
  const clock = new Clock({
    available: () => run.available, ended: () => run.ended, renewed: () => run.renewed, changed: () => { run.changes += 1; },
    later: (go, wait) => { run.due = go; run.wait = wait; return 1; }, never: () => { run.due = null; },
  });
  run.tick = () => { const go = run.due; run.due = null; go?.(); };
  return { clock, run };
}

test('plays to the end and stops there', () => {
  const { clock, run } = setUp();
  clock.play();
  for (let tick = 0; tick < 5; tick += 1) run.tick();
  assert.equal(clock.position, 3);
  assert.equal(clock.playing, false);
});

test('waits where a step is still being computed', () => {
  const { clock, run } = setUp({ available: 1, ended: false });
  clock.play();
  for (let tick = 0; tick < 4; tick += 1) run.tick();
  assert.deepEqual([clock.position, clock.playing], [1, true]);
  run.available = 2;
  run.tick();
  assert.equal(clock.position, 2);
});

test('steps, goes back and scrubs within what is there', () => {
  const { clock } = setUp();
  clock.step(); clock.step(); clock.back();
  assert.equal(clock.position, 1);
  clock.seek(99);
  assert.equal(clock.position, 3);
  clock.seek(-1);
  assert.equal(clock.position, 0);
  clock.seek(Number.NaN);
  assert.equal(clock.position, 0);
});

test('play at the end of a run whose successor is on its way begins that one', () => {
  const { clock, run } = setUp();
  clock.end();
  Object.assign(run, { ended: false, renewed: true });
  clock.play();
  assert.deepEqual([clock.position, clock.playing], [0, true]);
});

test('play where a run has come to goes on from there', () => {
  const { clock } = setUp({ ended: false });
  clock.seek(3);
  clock.play();
  assert.deepEqual([clock.position, clock.playing], [3, true]);
});

test('play at the end begins again', () => {
  const { clock } = setUp();
  clock.end();
  clock.play();
  assert.deepEqual([clock.position, clock.playing], [0, true]);
});

test('speed shortens the wait', () => {
  const { clock, run } = setUp();
  clock.play();
  const slow = run.wait;
  clock.setSpeed(4);
  assert.equal(run.wait, slow / 4);
});

test('a clock put past what is computed waits there', () => {
  const { clock, run } = setUp({ available: 2, ended: false });
  clock.position = 3;
  clock.step();
  assert.equal(clock.position, 3);
  run.available = 5;
  clock.step();
  assert.equal(clock.position, 4);
});

test('the end of a run that is still being computed is gone to, however far it is', () => {
  const { clock, run } = setUp({ available: 1, ended: false });
  clock.end();
  assert.equal(clock.position, 1);
  Object.assign(run, { available: 4 });
  clock.follow();
  assert.equal(clock.position, 4);
  Object.assign(run, { available: 2 });
  clock.follow();
  assert.equal(clock.position, 4, 'it is not thrown back');
  Object.assign(run, { available: 7, ended: true });
  clock.follow();
  assert.equal(clock.position, 7);
  Object.assign(run, { available: 9 });
  clock.follow();
  assert.equal(clock.position, 7, 'of another run nobody asked for the end');
});

test('whatever else is asked for takes the end back', () => {
  const asked = { play: (clock) => clock.play(), pause: (clock) => clock.pause(), toggle: (clock) => clock.toggle(), step: (clock) => clock.step(), back: (clock) => clock.back(), restart: (clock) => clock.restart(), seek: (clock) => clock.seek(1), put: (clock) => clock.put(2), stop: (clock) => clock.stop() };
  for (const [name, ask] of Object.entries(asked)) {
    const { clock, run } = setUp({ available: 2, ended: false });
    clock.end();
    ask(clock);
    const { position } = clock;
    run.available = 5;
    clock.follow();
    assert.equal(clock.position, position, name);
  }
});

test('thrown back where a run became shorter, it is where it was left once there is more again', () => {
  const { clock, run } = setUp({ available: 9 });
  clock.seek(8);
  run.available = 5;
  clock.settle();
  clock.settle();
  assert.equal(clock.position, 5);
  run.available = 7;
  clock.settle();
  assert.equal(clock.position, 7, 'as far as that exists');
  run.available = 9;
  clock.settle();
  assert.equal(clock.position, 8);
  const { changes } = run;
  clock.settle();
  assert.equal(run.changes, changes);
});

for (const [name, move, at] of /** @type {Array<[string, (clock: Clock) => void, number]>} */ ([
  ['a step back', (clock) => clock.back(), 4], ['a seek to where it is', (clock) => clock.seek(5), 5],
  ['an address', (clock) => clock.put(5), 5], ['play', (clock) => clock.play(), 0],
])) {
  test(`after ${name} it is not moved to where it was left`, () => {
    const { clock, run } = setUp({ available: 9 });
    clock.seek(8);
    run.available = 5;
    clock.settle();
    move(clock);
    run.available = 9;
    clock.settle();
    assert.equal(clock.position, at);
  });
}
