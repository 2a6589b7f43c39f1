// Reading the API: one request in flight per endpoint, a steady pace, and patience when the server is away.

const TIMEOUT_MS = 15_000;
const LONGEST_PAUSE_MS = 5_000;

/** Why an endpoint gave no answer. `away`: nobody answered at all. */
export class Failure extends Error {
  constructor(message, away) {
    super(message);
    this.away = away;
  }
}

/** Polls one endpoint while the page is visible. */
export class Poller {
  #timer = null;
  #running = null;
  #failures = 0;

  /**
   * @param {() => string} address what to ask, looked up for each request
   * @param {number} everyMs pause between an answer and the next request
   * @param {(answer: object) => void} onAnswer
   * @param {(failure: Failure, attempts: number) => void} onFailure
   */
  constructor(address, everyMs, onAnswer, onFailure) {
    Object.assign(this, { address, everyMs, onAnswer, onFailure });
    document.addEventListener("visibilitychange", () => (document.hidden ? this.pause() : this.now()));
  }

  /** Ask at once; a request that is under way is dropped, for it may ask for something else. */
  async now() {
    this.pause();
    if (document.hidden) return;
    const running = new AbortController();
    this.#running = running;
    const timer = setTimeout(() => running.abort("timeout"), TIMEOUT_MS);
    let pause = this.everyMs;
    try {
      const answer = await read(this.address(), running.signal);
      if (this.#running !== running) return;
      this.#failures = 0;
      this.onAnswer(answer);
    } catch (error) {
      if (this.#running !== running) return;
      if (!(error instanceof Failure)) console.error(error);
      this.#failures += 1;
      pause = Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** (this.#failures - 1));
      this.onFailure(
        error instanceof Failure ? error : new Failure("the page could not show this answer", false),
        this.#failures,
      );
    } finally {
      clearTimeout(timer);
      if (this.#running === running) {
        this.#running = null;
        this.#timer = setTimeout(() => this.now(), pause);
      }
    }
  }

  /** Stop asking until `now`. */
  pause() {
    clearTimeout(this.#timer);
    const running = this.#running;
    this.#running = null;
    running?.abort("superseded");
  }
}

async function read(address, signal) {
  let response;
  try {
    response = await fetch(address, { signal, headers: { accept: "application/json" }, cache: "no-store" });
  } catch {
    throw new Failure(signal.reason === "timeout" ? "no answer within 15 s" : "nobody answers", true);
  }
  let body = null;
  try {
    body = await response.json();
  } catch {
    /* judged below */
  }
  if (!response.ok) throw new Failure(body?.error?.message ?? `the server answered ${response.status}`, false);
  if (body === null || typeof body !== "object") throw new Failure("the answer is not JSON", false);
  return body;
}
