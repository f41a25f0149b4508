/**
 * What the single file holds is gzip. No blob is in its way: in WebKit the worker of a page that is a file can read none.
 *
 * @param {Uint8Array} packed
 * @returns {Promise<Uint8Array>}
 */
export async function gunzip(packed) {
  const plain = new Response(packed).body.pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}
