/**
 * Keeps the site for use without a network, once the first machine has answered: the visit itself goes first.
 * A version that is ready and waiting is asked to take over when a page comes, before anything is used and when no other
 * page is open on the old one. That page then begins anew under it; any other ends with the version that it began with.
 */

const script = new URL('./service-worker.js', import.meta.url);

const keep = () => navigator.serviceWorker.register(script, { updateViaCache: 'none' });

/**
 * Whether this is a frame in a page of another site. A browser keeps apart what is kept for each of those, and who reads
 * such a page did not come for some thirty megabytes of this one.
 */
function isGuest() {
  try {
    return top.location.origin !== location.origin;
  } catch {
    return true;
  }
}

if ('serviceWorker' in navigator && !isGuest()) {
  const had = navigator.serviceWorker.controller !== null;
  let begun = false;
  let asked = false;
  // Who asked may have begun before it came: its state is in its address, and its files are no longer kept.
  navigator.serviceWorker.addEventListener('controllerchange', () => { if (had && (asked || !begun)) location.reload(); });
  for (const name of ['pointerdown', 'keydown']) addEventListener(name, () => { begun = true; }, { once: true, capture: true });
  navigator.serviceWorker.getRegistration(script).then((known) => {
    if (begun || !known?.waiting) return;
    asked = true;
    known.waiting.postMessage('take over');
  }).catch(() => {});
  /** @type {Promise<any>|null} */
  let keeping = null;
  const begin = () => { keeping ??= keep().catch(() => {}); };
  for (const name of ['unmasked-step', 'unmasked-error']) addEventListener(name, begin, { once: true });
  // A machine that is ready need not be asked for anything; a slow one may need that long for its first step.
  addEventListener('unmasked-ready', () => setTimeout(begin, 10_000), { once: true });
}
