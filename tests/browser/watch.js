/** What a page does that nobody sees: its requests, what the policy refused, its errors. */

/**
 * Listens from before the page's first byte; call before `page.goto`.
 *
 * @param {import('@playwright/test').Page} page
 * @returns {Promise<{ requests: string[], errors: string[] }>} lists that grow while the page lives
 */
export async function watch(page) {
  const seen = { requests: [], errors: [] };
  // The context's events, not the page's: they include what workers fetch and say.
  page.context().on('request', (request) => seen.requests.push(request.url()));
  page.context().on('console', (message) => {
    if (message.type() === 'error') seen.errors.push(message.text());
  });
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  await page.exposeFunction('tellViolation', (text) => seen.errors.push(text));
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => {
      window.tellViolation(`the policy's ${event.effectiveDirective} refused ${event.blockedURI || 'inline code'}`);
    });
  });
  return seen;
}

/** The requests that went to somebody else. Addresses made by the page itself (`blob:`, `data:`) go nowhere. */
export function foreign(requests, origin) {
  return requests.filter((url) => !/^(blob|data):/.test(url) && new URL(url).origin !== origin);
}
