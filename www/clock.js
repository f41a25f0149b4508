/**
 * The clock: one position that many machines follow. Knows nothing of machines or pages; who owns it says
 * how far it may go, and a stuck step (still being computed) only makes it wait.
 */

const STEP_MILLISECONDS = 1000;

export class Clock {
  #timer = 0;
  /** The end was asked for while it was still being computed: whatever else is asked for takes that back. */
  #toEnd = false;
  /** Where it was left when what there is became shorter, until it is moved again. @type {number|null} */
  #left = null;

  /**
   * @param {object} owner
   * @param {() => number} owner.available last position that can be shown now
   * @param {() => boolean} owner.ended    nothing will come after `available()`
   * @param {() => boolean} owner.renewed  another run was asked for: what is available is still the one before
   * @param {() => void} owner.changed     position, playing or speed changed
   * @param {(run: () => void, wait: number) => any} [owner.later] setTimeout, replaceable in tests
   * @param {(timer: any) => void} [owner.never] clearTimeout
   */
  constructor({ available, ended, renewed, changed, later, never }) {
    this.available = available;
    this.ended = ended;
    this.renewed = renewed;
    this.changed = changed;
    this.later = later ?? ((run, wait) => setTimeout(run, wait));
    this.never = never ?? ((timer) => clearTimeout(timer));
    this.position = 0;
    this.playing = false;
    this.speed = 1;
  }

  play() {
    if (this.playing) return;
    this.#toEnd = false;
    this.#left = null;
    if ((this.ended() || this.renewed()) && this.position >= this.available()) this.position = 0;
    this.playing = true;
    this.#arm();
    this.changed();
  }

  pause() {
    this.never(this.#timer);
    this.#toEnd = false;
    if (!this.playing) return;
    this.playing = false;
    this.changed();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  /**
   * Goes to a position within what can be shown; playing goes on from there. A forced choice may have put the clock
   * past what is computed already: it is not thrown back.
   */
  seek(position) {
    this.#toEnd = false;
    this.#left = null;
    const most = Math.max(this.available(), this.position);
    const next = Math.max(0, Math.min(Math.trunc(position) || 0, most));
    if (this.playing) this.#arm();
    if (next === this.position) return;
    this.position = next;
    this.changed();
  }

  step() { this.pause(); this.seek(this.position + 1); }
  back() { this.pause(); this.seek(this.position - 1); }
  restart() { this.pause(); this.seek(0); }
  end() { this.pause(); this.seek(this.available()); this.#toEnd = !this.ended(); }

  /** Puts it anywhere, past what is computed too: a forced choice, an address. */
  put(position) {
    this.#toEnd = false;
    this.#left = null;
    this.position = position;
    this.changed();
  }

  setSpeed(speed) {
    this.speed = speed;
    if (this.playing) this.#arm();
    this.changed();
  }

  /** Whoever computes calls this when more can be shown: where the end was asked for, the clock goes on to it. */
  follow() {
    if (!this.#toEnd) return;
    if (this.ended()) this.#toEnd = false;
    // What another machine still computes may be behind: the clock is not thrown back.
    if (this.available() <= this.position) return;
    this.position = this.available();
    this.changed();
  }

  /**
   * Nothing more will come: one that is past the end goes to it. Where it was left is there again once more can be shown,
   * as when a machine with a longer run is put back.
   */
  settle() {
    const wanted = this.#left ?? this.position;
    const next = Math.min(wanted, this.available());
    this.#left = next < wanted ? wanted : null;
    if (next === this.position) return;
    this.position = next;
    this.changed();
  }

  stop() {
    this.never(this.#timer);
    this.#toEnd = false;
    this.playing = false;
  }

  #arm() {
    this.never(this.#timer);
    this.#timer = this.later(() => this.#tick(), STEP_MILLISECONDS / this.speed);
  }

  #tick() {
    if (!this.playing) return;
    if (this.position < this.available()) {
      this.position += 1;
    } else if (this.ended()) {
      this.playing = false;
      this.changed();
      return;
    }
    if (this.position >= this.available() && this.ended()) this.playing = false;
    else this.#arm();
    this.changed();
  }
}
