/**
 * Keeps the site for use without a network, once the first machine has answered: the visit itself goes first.
 * A version that is ready and waiting takes over before anything is used, when no other page is open on the old one.
 */

const script = new URL('./service-worker.js', import.meta.url);

async function keep() {
  const registration = await navigator.serviceWorker.register(script, { updateViaCache: 'none' });
  if (registration.waiting) registration.waiting.postMessage('take over');
}

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
  navigator.serviceWorker.addEventListener('controllerchange', () => { if (had && !begun) location.reload(); });
  for (const name of ['pointerdown', 'keydown']) addEventListener(name, () => { begun = true; }, { once: true, capture: true });
  navigator.serviceWorker.getRegistration(script).then((known) => known?.waiting?.postMessage('take over')).catch(() => {});
  /** @type {Promise<void>|null} */
  let keeping = null;
  const begin = () => { keeping ??= keep().catch(() => {}); };
  for (const name of ['unmasked-step', 'unmasked-error']) addEventListener(name, begin, { once: true });
  // A machine that is ready need not be asked for anything; a slow one may need that long for its first step.
  addEventListener('unmasked-ready', () => setTimeout(begin, 10_000), { once: true });
}
