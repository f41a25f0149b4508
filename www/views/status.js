/** What a machine says while it has nothing to show: loading by bytes, an error with a way on, an empty sentence. */

import { make, part, setAttribute, setText } from './dom.js';

const megabytes = (bytes) => (bytes / 1e6).toFixed(1);

/**
 * @param {HTMLElement} target
 * @param {{ phase: string, progress: { loaded: number, total: number }, error: any, missing: boolean,
 *   t: (key: string, values?: object) => string }} frame
 */
export function draw(target, { phase, progress, error, missing, t }) {
  const words = part(target, 'status-words', () => make('p'));
  const detail = part(target, 'status-detail', () => make('p', { dir: 'auto' }));
  const bar = part(target, 'status-bar', () => make('progress'));
  const retry = part(target, 'retry', () => make('button', { type: 'button', 'data-action': 'retry' }));
  const whole = progress.total > 0 && progress.loaded >= progress.total;
  setText(words, wordsOf(phase, missing, whole, t));
  // Said at once: in the page's own line the next sentence may take its place.
  setAttribute(detail, 'role', phase === 'error' ? 'alert' : null);
  setText(detail, detailOf(phase, progress, error, whole, t));
  setAttribute(bar, 'hidden', phase !== 'loading');
  setAttribute(bar, 'aria-label', t('machine.loading'));
  setAttribute(bar, 'max', progress.total > 0 ? progress.total : null);
  setAttribute(bar, 'value', progress.total > 0 && !whole ? Math.min(progress.loaded, progress.total) : null);
  const over = missing || phase !== 'error' && phase !== 'idle';
  // Whoever pressed it stays here, and is not sent to the top of the page.
  if (over && retry.matches(':focus')) target.focus();
  setAttribute(retry, 'hidden', over);
  setText(retry, t(phase === 'idle' ? 'machine.start' : 'machine.retry'));
}

function wordsOf(phase, missing, whole, t) {
  if (missing) return t('machine.missing');
  if (phase === 'error') return t('machine.error');
  if (phase === 'empty') return t('machine.empty');
  if (phase === 'loading') return t(whole ? 'machine.preparing' : 'machine.loading');
  if (phase === 'idle') return t('machine.idle');
  return '';
}

function detailOf(phase, progress, error, whole, t) {
  if (phase === 'error' && error) return sayError(error, t);
  if (phase !== 'loading' || whole || progress.loaded === 0) return '';
  return progress.total > 0 ? t('machine.loading.bytes', { loaded: megabytes(progress.loaded), total: megabytes(progress.total) })
    : t('machine.loading.some', { loaded: megabytes(progress.loaded) });
}

/** Kinds of errors for which the page has a sentence: what it is, and what to do. The engine's own line follows it. */
const KINDS = ['input', 'config', 'weights', 'tokenizer', 'trace', 'device', 'lost', 'memory', 'limit'];

/** An error in the page's words: its own sentence, else that of its kind and the engine's line with what was expected. */
export function sayError(error, t) {
  if (error.trouble) return t(`open.error.${error.trouble}`, error.values);
  const told = error.expected && !error.message.includes(error.got ?? '');
  const line = told ? `${error.message} (${t('machine.expected', { expected: error.expected, got: error.got })})` : error.message;
  return KINDS.includes(error.kind) ? t(`machine.error.${error.kind}`, { line }) : line;
}
