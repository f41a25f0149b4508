/** An engine's error: one line, and where known what it was about, what was expected and what came. */
export class EngineError extends Error {
  /** @param {{ message: string, name?: string, kind?: string, what?: string, expected?: string, got?: string, loss?: number|string, trouble?: string, values?: object }} plain */
  constructor({ message, name, kind, what, expected, got, loss, trouble, values }) {
    super(message);
    this.name = name === 'AbortError' ? 'AbortError' : 'EngineError';
    /** input, config, weights, tokenizer, device, lost, memory, limit: what the engine itself found; download: files did not come */
    this.kind = kind;
    /** Of kind `lost`: the same for everything that was lost together. */
    this.loss = loss;
    this.what = what;
    this.expected = expected;
    this.got = got;
    /** What the page's own sentence for it is filed under, and its values; where it has one. */
    this.trouble = trouble;
    this.values = values;
  }
}
