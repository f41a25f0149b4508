/** Says steps aloud, politely: at most one sentence in a while, and the last one is never lost. */

const QUIET_MILLISECONDS = 1500;

/** @param {Element} region an aria-live region @returns {(text: string) => void} */
export function announcer(region) {
  let last = 0;
  let timer = 0;
  return (text) => {
    clearTimeout(timer);
    const wait = Math.max(0, last + QUIET_MILLISECONDS - Date.now());
    timer = setTimeout(() => {
      last = Date.now();
      if (region.textContent !== text) region.textContent = text;
    }, wait);
  };
}
