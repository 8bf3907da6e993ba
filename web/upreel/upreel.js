// upreel.js: uploads videos to Upreel from a page. Large ones go in parts, and go on after a pause, a lost connection
// or a reload. One file, no dependencies, no build: copy it into your project. Licence: Apache-2.0.
//
//   import { upload, watch } from './upreel.js';
//   const server = { api: 'https://api.example.com', headers: { Authorization: idToken } };
//   const { videoId } = await upload(file, { ...server, onProgress: ({ sent, total }) => draw(sent / total) });
//   const video = await watch(videoId, { ...server, onChange: show });
//   // To pause, resume and cancel: const it = new Upload(file, server); it.start(); it.pause(); ...

const MiB = 2 ** 20;
/** Up to here a file goes through the API: it takes 4.4 MiB, the form around the file included. */
const MAX_FORM = 4.4 * MiB - 4096;
/** Up to here one PUT: parts cost requests, and to begin again costs a minute at most, at 10 Mbit/s. */
const MAX_PUT = 64 * MiB;
/** What a pause or a lost connection costs of each part under way. S3 takes 5 MiB at least, and 10,000 parts. */
const PART = 8 * MiB;
const MAX_PARTS = 10_000;
/** Transfers at a time, of all uploads. A browser opens six connections to a host; pictures need some of them. */
const TRANSFERS = 4;
/** How often something is tried: with the waits in between, for some one and a half minutes. */
const ATTEMPTS = 10;
/** After so long without a byte a connection is taken for dead. */
const STALLED = 60_000;
/** Buckets drop the parts of uploads that are older. */
const OLD = 24 * 3600_000;
/** Browsers tell a type by the name, and some are wrong about these, which the server knows: `.ts`, `.mkv`. */
const KNOWN = /\.(3g2|3gpp?|asf|avi|flv|m2p|m2ts|m4v|mkv|mov|mp4|mpe?g|mts|og[gv]|qt|ts|vob|webm|wmv)$/i;
const PAUSED = Symbol('paused');

/**
 * @typedef {object} Server
 * @property {string} [api] where the API is; by default where the page is
 * @property {Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>)} [headers] for
 *   every request to the API, such as Authorization; a function is asked each time, since tokens expire
 * @typedef {'ready' | 'sending' | 'waiting' | 'paused' | 'finishing' | 'stored' | 'failed' | 'cancelled'} State
 * @typedef {object} Progress
 * @property {State} state `waiting`: for the connection, or to try again
 * @property {number} sent bytes
 * @property {number} total bytes
 * @property {number} [speed] bytes a second, of the last few seconds
 * @property {number} [secondsLeft]
 * @property {Error} [error] why it waits or has failed
 */

/** What went wrong: `message` says it in words, `code` is the server's or NETWORK, OFFLINE, UNREADABLE_FILE. */
export class UpreelError extends Error {
  /** @param {{status?: number, code: string, message: string, retryAfter?: number, cause?: unknown}} about */
  constructor({ status = 0, code, message, retryAfter = 0, cause }) {
    super(message, { cause });
    Object.assign(this, { name: 'UpreelError', status, code, retryAfter });
    /** Whether it is about the file, which would be refused again. */
    this.refused = [400, 413, 415, 422].includes(status);
    /** Whether trying again may help. */
    this.temporary = code === 'NETWORK' || [408, 425, 429].includes(status) || status >= 500;
  }
}

/** Uploads a file, and says which video it became. @param {File} file
 * @param {Server & {onProgress?: (progress: Progress) => void, signal?: AbortSignal}} [options]
 * @returns {Promise<{videoId: string}>} */
export async function upload(file, { signal, ...options } = {}) {
  signal?.throwIfAborted();
  const it = new Upload(file, options);
  const cancel = () => it.cancel(signal.reason);
  signal?.addEventListener('abort', cancel);
  try {
    return await it.start();
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

/** One file on its way. */
export class Upload {
  #server; #onProgress; #id; #running; #paused; #cancelled; #go;
  #stop = new AbortController();
  /** What the server has of it: `videoId`, and of an upload in parts `uploadId`, `key`, `partSize`. */
  #trace;
  #samples = [];
  #idempotencyKey = hex(crypto.getRandomValues(new Uint8Array(16)));
  /** @type {State} */ state = 'ready';
  /** Bytes. */ sent = 0;

  /** @param {File} file @param {Server & {onProgress?: (progress: Progress) => void}} [options] */
  constructor(file, { onProgress, ...server } = {}) {
    this.file = file;
    this.#server = server;
    this.#onProgress = onProgress;
  }

  /** Known once the server has heard of the file. */
  get videoId() { return this.#trace?.videoId; }

  /** Begins, or after a failure goes on. @returns {Promise<{videoId: string}>} */
  start() {
    if (this.state === 'stored') return Promise.resolve({ videoId: this.videoId });
    const id = memoryOf(this.#server, this.file);
    this.#running ??= hold(id, (mine) => {
      // The same file is on its way already, here or in another tab: this one is a video of its own.
      this.#id = mine ? id : undefined;
      return this.#run();
    }).finally(() => { this.#running = undefined; });
    return this.#running;
  }

  /** Stops sending. Parts that are there stay; what is not sent in parts begins again. */
  pause() {
    if (!['sending', 'waiting'].includes(this.state)) return;
    this.#paused = true;
    this.#stop.abort(PAUSED);
  }

  /** Goes on. */
  resume() {
    this.#paused = false;
    this.#go?.();
  }

  /** Gives up, and has the server forget it; `start()` rejects with the reason. */
  async cancel(reason = new DOMException('The upload was cancelled.', 'AbortError')) {
    if (this.state === 'stored') return;
    this.#cancelled = reason;
    this.#stop.abort(reason);
    this.#go?.();
    await (this.#running ?? this.#discard()).catch(() => {});
  }

  // All that can be interrupted is in #send, which finds out what is there already: it is simply begun again.
  async #run() {
    for (;;) {
      this.#stop = new AbortController();
      const { signal } = this.#stop;
      if (this.#cancelled) this.#stop.abort(this.#cancelled);
      this.#samples = [];
      try {
        await this.#send(signal);
        if (this.#cancelled) throw this.#cancelled;
        if (this.#id) forget(this.#id);
        this.#tell('stored');
        return { videoId: this.videoId };
      } catch (error) {
        if (signal.reason === PAUSED) {
          this.#tell('paused');
          while (this.#paused && !this.#cancelled) await new Promise((go) => { this.#go = go; });
          continue;
        }
        this.#stop.abort(error);
        if (this.#cancelled || error.refused) await this.#discard().catch(() => {});
        this.#tell(this.#cancelled ? 'cancelled' : 'failed', error);
        throw this.#cancelled ?? error;
      }
    }
  }

  #send(signal) {
    signal.throwIfAborted();
    this.sent = 0;
    this.#tell('sending');
    if (this.file.size <= MAX_FORM) return this.#sendForm(signal);
    return this.file.size <= MAX_PUT ? this.#sendWhole(signal) : this.#sendParts(signal);
  }

  async #sendForm(signal) {
    const body = new FormData();
    body.append('file', this.file);
    this.#trace = JSON.parse((await this.#persist(signal, async () => this.#transfer(signal, {
      method: 'POST', url: `${this.#server.api ?? ''}/upload`, body,
      // A repetition after a lost answer is the same video.
      headers: { ...await headersOf(this.#server), 'Idempotency-Key': this.#idempotencyKey },
    }))).responseText);
  }

  async #sendWhole(signal) {
    await this.#persist(signal, async () => {
      // Requests that leave something on the server are not cut off: the answer says what to clean up.
      const wish = new URLSearchParams({ ...this.#about, name: this.file.name });
      this.#trace ??= await json(this.#server, 'GET', `/presign?${wish}`);
      const { method, uploadUrl: url, headers } = this.#trace;
      try {
        await this.#transfer(signal, { method, url, headers, body: this.file });
      } catch (error) {
        // Signed for five minutes only; a new URL is that of a new video.
        if (error.status === 403) await this.#discard();
        throw error;
      }
    });
  }

  async #sendParts(signal) {
    const { file } = this;
    const stop = this.#stop;
    const there = await this.#resumed(signal);
    if (!there) return;
    const { uploadId, key, partSize } = this.#trace ??= await this.#begin(signal);
    const at = (rest) => `/s3/multipart/${uploadId}${rest}?${new URLSearchParams({ key })}`;
    const parts = [];
    const missing = [];
    for (const part of planParts(file.size, partSize)) {
      const same = there.find(({ PartNumber, Size }) => PartNumber === part.number && Size === part.end - part.start);
      (same ? parts : missing).push(same ?? part);
    }
    this.#count(parts.reduce((sum, { Size }) => sum + Size, 0));
    const work = async () => {
      for (let part = missing.shift(); part; part = missing.shift()) {
        const { number, start, end } = part;
        const sent = await this.#persist(signal, async () => {
          // Signed when it is used, each time: a URL is good for fifteen minutes.
          const { url } = await json(this.#server, 'GET', at(`/${number}`), { signal });
          return this.#transfer(signal, { method: 'PUT', url, body: file.slice(start, end) });
        });
        const ETag = sent.getResponseHeader('ETag');
        if (!ETag) throw new UpreelError({ code: 'NO_ETAG', message: 'The CORS rules of the bucket do not expose ETag.' });
        parts.push({ PartNumber: number, ETag });
      }
    };
    // One that fails for good stops the others.
    const workers = Array.from({ length: TRANSFERS }, () => work().catch((error) => stop.abort(error)));
    await Promise.all(workers);
    signal.throwIfAborted();
    this.#tell('finishing');
    parts.sort((a, b) => a.PartNumber - b.PartNumber);
    let asked = 0;
    await this.#persist(signal, async () => {
      asked += 1;
      try {
        await call(this.#server, 'POST', at('/complete'), { body: { parts } });
      } catch (error) {
        if (asked === 1 || error.status !== 404) throw error;
        // The answer to an earlier one was lost; the record may take a moment to follow.
        error.temporary = true;
        if (!await this.#isStored()) throw error;
      }
    });
  }

  /** The parts that are there of an upload that was interrupted; nothing if it turns out to be complete. */
  async #resumed(signal) {
    this.#trace ??= this.#id && recall(this.#id);
    if (!this.#trace) return [];
    try {
      return await this.#persist(signal, () => storedParts(this.#trace, this.#server, signal));
    } catch (error) {
      if (error.status !== 404) throw error;
      if (await this.#isStored().catch(() => false)) return undefined;
      await this.#discard().catch(() => {});
      return [];
    }
  }

  /** Begins an upload in parts. */
  async #begin(signal) {
    const body = { ...this.#about, filename: this.file.name };
    const { uploadId, key } = await this.#persist(signal, () => json(this.#server, 'POST', '/s3/multipart', { body }));
    const { name, size, type, lastModified } = this.file;
    const videoId = key.split('/').pop().split('.')[0];
    const about = { name, size, type, lastModified, at: Date.now() };
    const trace = { videoId, uploadId, key, partSize: partSizeOf(size), ...about };
    if (this.#id) remember(this.#id, trace);
    return trace;
  }

  get #about() {
    const { name, type, size } = this.file;
    return type && !KNOWN.test(name) ? { type, size } : { size };
  }

  async #isStored() {
    return (await get(this.videoId, this.#server)).status !== 'PENDING';
  }

  async #discard() {
    const trace = this.#trace;
    if (!trace) return;
    await discard({ ...trace, id: this.#id }, this.#server);
    if (this.#trace === trace) this.#trace = undefined;
  }

  #persist(signal, step) {
    return persist(step, { signal, onRetry: (error) => this.#tell('waiting', error) });
  }

  async #transfer(signal, request) {
    let counted = 0;
    const count = (loaded) => { this.#count(loaded - counted); counted = loaded; };
    const total = request.body.size ?? this.file.size;
    try {
      const onSent = (loaded) => count(Math.min(loaded, total));
      const xhr = await inTurn(() => transfer({ ...request, signal, onSent }));
      count(total);
      return xhr;
    } catch (error) {
      count(0);
      // Its URL has expired, most likely.
      if (error.status === 403 && request.method === 'PUT') error.temporary = true;
      throw error;
    }
  }

  #count(more) {
    this.sent += more;
    const now = performance.now();
    this.#samples.push({ now, sent: this.sent });
    while (now - this.#samples[0].now > 5000) this.#samples.shift();
    if (!this.#stop.signal.aborted) this.#tell(this.sent < this.file.size ? 'sending' : 'finishing');
  }

  #tell(state, error) {
    this.state = state;
    const first = this.#samples[0];
    const seconds = first && state === 'sending' ? (performance.now() - first.now) / 1000 : 0;
    const speed = seconds > 0.3 && this.sent > first.sent ? (this.sent - first.sent) / seconds : undefined;
    const { sent, file: { size: total } } = this;
    this.#onProgress?.({ state, sent, total, speed, secondsLeft: speed && (total - sent) / speed, error });
  }
}

/** Uploads that a reload has interrupted: give `upload()` the same file, and it goes on. `sent` is how much is there.
 * @typedef {{id: string, videoId: string, name: string, size: number, type: string, lastModified: number, sent: number}} Entry
 * @param {Server} [server] @returns {Promise<Entry[]>} */
export async function interrupted(server = {}) {
  const { held = [] } = await globalThis.navigator?.locks?.query() ?? {};
  const found = [];
  for (const id of quietly(() => Object.keys(localStorage)) ?? []) {
    const trace = id.startsWith(memory(server)) && recall(id);
    if (!trace || held.some(({ name }) => name === id)) continue;
    try {
      const parts = await storedParts(trace, server);
      found.push({ ...trace, id, sent: parts.reduce((sum, { Size }) => sum + Size, 0) });
    } catch (error) {
      if (error.status !== 404) throw error;
      forget(id);
    }
  }
  return found;
}

/** Has the server forget an interrupted upload. @param {Entry} entry @param {Server} [server] */
export async function discard({ id, videoId, uploadId, key }, server = {}) {
  const upload = `/s3/multipart/${uploadId}?${new URLSearchParams({ key })}`;
  if (uploadId) await call(server, 'DELETE', upload).catch(unlessGone);
  await remove(videoId, server);
  if (id) forget(id);
}

/** Whether a video is PROCESSED or FAILED, and, if `renditions` are to be waited for, no HLS is being made of it.
 * @param {object} video @param {boolean} [renditions] */
export const isDone = ({ status, transcode }, renditions = false) => (
  ['PROCESSED', 'FAILED'].includes(status) && !(renditions && transcode?.status === 'RUNNING'));

/** Follows a video until it is PROCESSED or FAILED, with `renditions` until its HLS is there too, or has failed, if
 * any is to be made; and gives it. Not while the page is hidden.
 * @param {string} videoId
 * @param {Server & {renditions?: boolean, onChange?: (video: object) => void, onRetry?: (error: Error) => void,
 *   signal?: AbortSignal}} [options]
 * @returns {Promise<object>} */
export async function watch(videoId, { renditions, onChange, onRetry, signal, ...server } = {}) {
  let etag;
  let video;
  for (let asked = 0; ; asked += 1) {
    let retried = false;
    const headers = etag && { 'If-None-Match': etag };
    const reply = await persist(() => call(server, 'GET', path(videoId), { headers, signal }), {
      signal, attempts: Infinity, onRetry: (error) => { retried = true; onRetry?.(error); },
    });
    const news = reply.status !== 304;
    if (news) [etag, video] = [reply.headers.get('ETag'), JSON.parse(reply.text)];
    if (news || retried) onChange?.(video);
    if (isDone(video, renditions)) return video;
    await event(globalThis, 'online', { ms: retryAfter(reply) || Math.min(3000, 500 * 1.5 ** asked), signal });
    while (document.hidden) await event(document, 'visibilitychange', { signal });
  }
}

/** One video. @param {string} videoId @param {Server & {signal?: AbortSignal}} [options] */
export const get = (videoId, { signal, ...server } = {}) => json(server, 'GET', path(videoId), { signal });

/** A page of videos, newest first. @param {Server & {limit?: number, cursor?: string, signal?: AbortSignal}} [options]
 * @returns {Promise<{videos: object[], cursor?: string}>} */
export function list({ limit, cursor, signal, ...server } = {}) {
  const query = Object.entries({ limit, cursor }).filter(([, value]) => value !== undefined);
  return json(server, 'GET', `/videos?${new URLSearchParams(query)}`, { signal });
}

/** Deletes a video; it is no error if there is none. @param {string} videoId @param {Server} [server] */
export async function remove(videoId, server = {}) {
  await call(server, 'DELETE', path(videoId)).catch(unlessGone);
}

/* Parts, waits and names: all that needs no browser */

/** So large that 10,000 suffice. @param {number} size */
export const partSizeOf = (size) => Math.max(PART, Math.ceil(size / MAX_PARTS / MiB) * MiB);

/** @param {number} size @param {number} [partSize] @returns {{number: number, start: number, end: number}[]} */
export function planParts(size, partSize = partSizeOf(size)) {
  return Array.from({ length: Math.ceil(size / partSize) }, (_, i) => (
    { number: i + 1, start: i * partSize, end: Math.min(size, (i + 1) * partSize) }));
}

/** Milliseconds to wait: twice as long each time, half of it by chance, so that clients do not come all at once. */
export const backOff = (attempt, random = Math.random()) => Math.min(30_000, 500 * 2 ** attempt) * (0.5 + random / 2);

/** Tells files apart without reading them. @param {Pick<File, 'name' | 'size' | 'lastModified' | 'type'>} file */
export const fingerprint = ({ name, size, lastModified, type }) => JSON.stringify([name, size, lastModified, type]);

const path = (videoId) => `/videos/${encodeURIComponent(videoId)}`;
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
const offline = () => globalThis.navigator?.onLine === false;

/* What is remembered: which upload a file belongs to */

const memory = ({ api }) => `upreel ${new URL(api || '/', location.href)} `;
const memoryOf = (server, file) => memory(server) + fingerprint(file);

// Where nothing can be remembered (private windows, full storage), a reload begins again.
const quietly = (work) => { try { return work(); } catch { return undefined; } };
const remember = (id, trace) => quietly(() => { localStorage.setItem(id, JSON.stringify(trace)); });
const forget = (id) => quietly(() => { localStorage.removeItem(id); });
const recall = (id) => quietly(() => {
  const trace = JSON.parse(localStorage.getItem(id));
  return trace && Date.now() - trace.at < OLD ? trace : forget(id);
});

/** Does the work with the name held, or tells it that another page of this browser holds it. */
function hold(name, work) {
  const locks = globalThis.navigator?.locks;
  return locks ? locks.request(name, { ifAvailable: true }, (lock) => work(Boolean(lock))) : work(true);
}

/* Requests */

const headersOf = ({ headers }) => (typeof headers === 'function' ? headers() : headers);
const json = async (...request) => JSON.parse((await call(...request)).text);
const unlessGone = (error) => { if (error.status !== 404) throw error; };
const storedParts = ({ uploadId, key }, server, signal) => (
  json(server, 'GET', `/s3/multipart/${uploadId}?${new URLSearchParams({ key })}`, { signal }));
const retryAfter = (reply) => {
  const text = reply.headers.get('Retry-After') ?? '';
  return Math.max(0, /^\d+$/.test(text) ? text * 1000 : Date.parse(text) - Date.now()) || 0;
};

async function call(server, method, where, { headers, body, signal } = {}) {
  const given = await headersOf(server);
  let reply;
  let text;
  try {
    reply = await fetch((server.api ?? '') + where, {
      method, cache: 'no-store', headers: { ...given, ...headers }, body: body && JSON.stringify(body),
      signal: AbortSignal.any([AbortSignal.timeout(STALLED), ...(signal ? [signal] : [])]),
    });
    text = await reply.text();
  } catch (cause) {
    throw signal?.aborted ? signal.reason : lost(cause);
  }
  if (reply.ok || reply.status === 304) return { status: reply.status, headers: reply.headers, text };
  throw refusal(reply.status, text, retryAfter(reply));
}

/** Sends a body and tells how much of it is sent, which fetch cannot. */
function transfer({ method, url, headers = {}, body, signal, onSent }) {
  return new Promise((done, fail) => {
    const xhr = new XMLHttpRequest();
    let timer;
    let sent = false;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => xhr.abort(), STALLED);
    };
    // What is all there is worth waiting for.
    const stop = () => { if (!sent) xhr.abort(); };
    xhr.upload.onprogress = ({ loaded }) => { alive(); onSent(loaded); };
    xhr.upload.onload = () => { sent = true; };
    xhr.onload = () => (xhr.status < 300 ? done(xhr) : fail(refusal(xhr.status, xhr.responseText)));
    xhr.onabort = () => fail(signal.aborted ? signal.reason : lost());
    // One error for a lost connection and for a file that cannot be read: a read tells them apart.
    xhr.onerror = () => (body instanceof Blob ? body : body.get('file')).slice(0, 1).arrayBuffer().then(
      () => fail(lost()),
      (cause) => fail(new UpreelError({
        code: 'UNREADABLE_FILE', message: 'This file cannot be read. It was moved or changed, or is a folder.', cause,
      })),
    );
    xhr.onloadend = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    };
    signal.throwIfAborted();
    signal.addEventListener('abort', stop);
    xhr.open(method, url);
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    alive();
    xhr.send(body);
  });
}

const turns = { free: TRANSFERS, waiting: [] };

async function inTurn(work) {
  if (turns.free) turns.free -= 1;
  else await new Promise((go) => { turns.waiting.push(go); });
  try {
    return await work();
  } finally {
    const next = turns.waiting.shift();
    if (next) next(); else turns.free += 1;
  }
}

/** Tries until it works, or there is no point in it. To be offline is not an attempt. */
async function persist(step, { signal, attempts = ATTEMPTS, onRetry }) {
  for (let attempt = 0; ; attempt += 1) {
    while (offline()) {
      onRetry?.(new UpreelError({ code: 'OFFLINE', message: 'There is no connection.' }));
      await event(globalThis, 'online', { signal });
    }
    signal?.throwIfAborted();
    try {
      return await step();
    } catch (error) {
      if (signal?.aborted || !error.temporary || attempt + 1 >= attempts) throw error;
      if (offline()) attempt = -1;
      onRetry?.(error);
      // The connection that comes back ends the wait.
      await event(globalThis, 'online', { ms: error.retryAfter || backOff(Math.max(0, attempt)), signal });
    }
  }
}

/** Waits for an event, or for so long; rejects when it is aborted. */
function event(target, type, { ms, signal }) {
  return new Promise((done, fail) => {
    const end = (settle) => () => {
      clearTimeout(timer);
      target.removeEventListener?.(type, go);
      signal?.removeEventListener('abort', stop);
      settle();
    };
    const go = end(done);
    const stop = end(() => fail(signal.reason));
    const timer = ms === undefined ? undefined : setTimeout(go, ms);
    target.addEventListener?.(type, go);
    signal?.addEventListener('abort', stop);
    if (signal?.aborted) stop();
  });
}

const lost = (cause) => new UpreelError({ code: 'NETWORK', message: 'The server cannot be reached.', cause });

/** The words of problem+json, or of S3's XML; a proxy answers in HTML, and then the status has to do. */
function refusal(status, text, wait = 0) {
  let problem = {};
  try {
    problem = JSON.parse(text);
  } catch {
    problem = { code: /<Code>(.+?)<\/Code>/.exec(text)?.[1], detail: /<Message>(.+?)<\/Message>/.exec(text)?.[1] };
  }
  const message = problem.detail ?? problem.message ?? `The server answered with status ${status}.`;
  return new UpreelError({ status, code: problem.code ?? `HTTP_${status}`, message, retryAfter: wait });
}
