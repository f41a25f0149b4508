/**
 * The single-file page's own files, which lie inside it: small ones in its script, the models in data blocks (base64 of
 * gzip) that are unpacked when a machine is first used. Stands in for www/place.js and exports the same names.
 */

import { blocks, elementSheet, models, tokensSheet, workerScript } from 'packed';
import { gunzip } from './gunzip.js';

export const MODELS = 'packed:/models/';

/** One file is one page, which speaks to nobody. */
export const OPEN = null;

export async function readList() { return models; }

/** @type {Map<string, Promise<import('../www/files.js').Unpacked[]>>} */
const opened = new Map();

/** The files of a model, unpacked once however often it is loaded. */
export function openModel(folder) {
  if (!opened.has(folder)) opened.set(folder, unpackModel(folder));
  return opened.get(folder);
}

/** As bytes, not as `File`s: a page that is a file has no origin, and in WebKit its worker can read no blob. */
async function unpackModel(folder) {
  const files = Object.entries(blocks[folder] ?? {});
  if (!files.length) throw new Error(`this page has no model \`${folder}\``);
  return Promise.all(files.map(async ([name, block]) => {
    const bytes = await gunzip(bytesOf(document.getElementById(block).textContent));
    return { name, size: bytes.length, bytes };
  }));
}

export async function readSheets() { return [tokensSheet, elementSheet]; }

/** The worker brings the engine itself. */
export async function compileProgram() { return null; }

export function startWorker() {
  const address = URL.createObjectURL(new Blob([workerScript], { type: 'text/javascript' }));
  const worker = new Worker(address, { name: 'unmasked' });
  // The worker has read its address when it speaks first, or never will.
  for (const event of ['message', 'error']) worker.addEventListener(event, () => URL.revokeObjectURL(address), { once: true });
  return worker;
}

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
}
