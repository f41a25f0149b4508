/** A plain static host, as a person would find one: a sub-path, a few types, and no header that helps. */
import { createServer } from 'node:http';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const DIST = fileURLToPath(new URL('../../dist/', import.meta.url));
const PATH = '/some/where/deep/';
// wasm goes without its type, as on many hosts.
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.svg': 'image/svg+xml' };

/** The files of dist/site, by their path. */
export const siteFiles = () => filesOf(join(DIST, 'site'));

/** The files of a folder, by their path. @returns {Map<string, Buffer>} */
export function filesOf(root) {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(entries.map((entry) => {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    return [path.slice(root.length + 1).replaceAll('\\', '/'), readFileSync(path)];
  }));
}

/** The same site with one file changed, as a new build would publish it: the list knows the new hash. */
export function changed(files, path, change) {
  const next = new Map(files);
  const body = Buffer.from(change(files.get(path).toString()));
  const hash = (bytes) => createHash('sha256').update(bytes).digest('base64');
  const worker = files.get('service-worker.js').toString();
  const [before, after] = [hash(files.get(path)), hash(body)];
  if (before === after || !worker.includes(before)) throw new Error(`\`${path}\` did not change, or the list does not have it`);
  next.set(path, body);
  next.set('service-worker.js', Buffer.from(worker.replace(before, after).replace(/VERSION = '[^']+'/, `VERSION = '${after}'`)));
  return next;
}

/** @param {Map<string, Buffer>} files what it serves; may be exchanged while it runs */
export async function startHost(files) {
  const host = { files, asked: [], url: '', close: () => {} };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://host');
    host.asked.push(pathname);
    const path = pathname.startsWith(PATH) ? pathname.slice(PATH.length) : '//';
    const file = path === '' || path.endsWith('/') ? `${path}index.html` : path;
    const body = host.files.get(file);
    const type = TYPES[extname(file)];
    response.writeHead(body ? 200 : 404, type ? { 'content-type': type } : {}).end(body);
  });
  await new Promise((listening) => { server.listen(0, '127.0.0.1', listening); });
  host.url = `http://127.0.0.1:${server.address().port}${PATH}`;
  host.close = () => new Promise((closed) => { server.close(closed); server.closeAllConnections(); });
  return host;
}
