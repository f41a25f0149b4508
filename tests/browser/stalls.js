/** How long the page's main thread was busy at a stretch, from the browser's own trace. */

const TASK = /^ThreadControllerImpl::RunTask$/;
const CATEGORIES = ['toplevel', 'disabled-by-default-mojom'];

/**
 * The longest tasks while `act` runs, in milliseconds of processor time: on a busy machine a task's time on the wall
 * is mostly its wait for a core. What the test itself sends to the page is left out.
 *
 * @param {import('@playwright/test').Page} page
 * @param {() => Promise<void>} act
 * @returns {Promise<number[]>} longest first
 */
export async function longestTasks(page, act) {
  const browser = page.context().browser();
  await browser.startTracing(page, { categories: CATEGORIES });
  await act();
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString());
  const threadOf = ({ pid, tid }) => `${pid} ${tid}`;
  const mains = new Set(traceEvents
    .filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain').map(threadOf));
  const own = traceEvents.filter((event) => event.ph === 'X' && mains.has(threadOf(event)));
  const asked = own.filter(({ args }) => args?.chrome_mojo_event_info?.mojo_interface_tag === 'blink.mojom.DevToolsSession');
  const holds = (task, event) => threadOf(task) === threadOf(event) && event.ts >= task.ts && event.ts < task.ts + task.dur;
  return own
    .filter((task) => TASK.test(task.name) && !asked.some((event) => holds(task, event)))
    .map(({ tdur }) => tdur / 1000)
    .sort((a, b) => b - a);
}
