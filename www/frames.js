/**
 * Drawings wait in line here. Those that are asked for at one time share a frame, as far as its budget goes; the others
 * follow in the next. So many machines that change at once make no long frame, and each is drawn once however often it
 * changed.
 */

/** What scripts may take of a frame's 16 milliseconds before the next drawing waits: layout and paint come on top. */
const BUDGET = 4;

/** @type {Set<() => void>} */
const waiting = new Set();
let frame = 0;

/** @param {() => void} draw in line once, however often it is given */
export function drawLater(draw) {
  waiting.add(draw);
  frame ||= requestAnimationFrame(run);
}

/** @param {() => void} draw leaves the line */
export function drawNever(draw) {
  waiting.delete(draw);
}

function run() {
  frame = 0;
  const began = performance.now();
  try {
    for (const draw of [...waiting]) {
      if (!waiting.delete(draw)) continue; // an earlier drawing took it out
      draw();
      if (performance.now() - began >= BUDGET) break;
    }
  } finally {
    if (waiting.size) frame ||= requestAnimationFrame(run);
  }
}
