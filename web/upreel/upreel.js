// upreel.js: a browser client that uploads videos to Upreel. Large files use S3 multipart uploads, which can be paused
// and resumed, also after a lost connection or a page reload. A single file without dependencies or a build step: copy
// it into your project. Licence: Apache-2.0.
//
//   import { upload, watch } from './upreel.js';
//   const server = { api: 'https://api.example.com', headers: { Authorization: idToken } };
//   const { videoId } = await upload(file, { ...server, onProgress: ({ sent, total }) => draw(sent / total) });
//   const video = await watch(videoId, { ...server, onChange: show });
//   // To pause, resume and cancel: const job = new Upload(file, server); job.start(); job.pause(); ...

const MiB = 2 ** 20;
/** Largest file sent as a form through the API, which accepts request bodies of up to 4.4 MiB, form fields included. */
const MAX_FORM = 4.4 * MiB - 4096;
/** Largest file sent in a single PUT. Parts cost extra requests, and restarting 64 MiB takes a minute at 10 Mbit/s. */
const MAX_PUT = 64 * MiB;
/** Default part size. A pause or a lost connection discards at most this much per transfer. S3 requires at least 5 MiB
 * per part and at most 10,000 parts. */
const PART_SIZE = 8 * MiB;
const MAX_PARTS = 10_000;
/** Concurrent transfers over all uploads. Browsers open six connections per host, and images need some of them. */
const MAX_TRANSFERS = 4;
/** Attempts per request. With the delays in between, they span about 90 seconds. */
const MAX_ATTEMPTS = 10;
/** Milliseconds without upload progress after which a connection counts as dead; also the timeout of API requests. */
const STALL_TIMEOUT = 60_000;
/** How long an interrupted upload can be resumed: the buckets abort older multipart uploads. */
const SESSION_TTL = 24 * 3600_000;
/** Extensions whose type the server knows. Browsers derive the type from them too, some wrongly: `.ts`, `.mkv`. */
const KNOWN_EXTENSIONS = /\.(3g2|3gpp?|asf|avi|flv|m2p|m2ts|m4v|mkv|mov|mp4|mpe?g|mts|og[gv]|qt|ts|vob|webm|wmv)$/i;
const PAUSED = Symbol('paused');

/**
 * @typedef {object} Server
 * @property {string} [api] base URL of the API; defaults to the origin of the page
 * @property {Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>)} [headers]
 *   headers of every API request, such as Authorization; a function is called for each request, since tokens expire
 * @typedef {'ready' | 'sending' | 'waiting' | 'paused' | 'finishing' | 'stored' | 'failed' | 'cancelled'} State
 * @typedef {object} Progress
 * @property {State} state `waiting`: for the connection, or before the next attempt
 * @property {number} sent bytes
 * @property {number} total bytes
 * @property {number} [speed] bytes per second, averaged over the last 5 seconds
 * @property {number} [secondsLeft]
 * @property {Error} [error] why the upload is waiting or has failed
 */

/** A failed request. `message` can be shown to users; `code` is the server's, or NETWORK, OFFLINE, UNREADABLE_FILE. */
export class UpreelError extends Error {
  /** @param {{status?: number, code: string, message: string, retryAfter?: number, cause?: unknown}} details */
  constructor({ status = 0, code, message, retryAfter = 0, cause }) {
    super(message, { cause });
    Object.assign(this, { name: 'UpreelError', status, code, retryAfter });
    /** Whether the server rejects this file, so that sending it again is pointless. */
    this.refused = [400, 413, 415, 422].includes(status);
    /** Whether a retry may succeed. */
    this.temporary = code === 'NETWORK' || [408, 425, 429].includes(status) || status >= 500;
  }
}

/** Uploads a file and returns the id of its video. @param {File} file
 * @param {Server & {onProgress?: (progress: Progress) => void, signal?: AbortSignal}} [options]
 * @returns {Promise<{videoId: string}>} */
export async function upload(file, { signal, ...options } = {}) {
  signal?.throwIfAborted();
  const job = new Upload(file, options);
  const cancel = () => job.cancel(signal.reason);
  signal?.addEventListener('abort', cancel);
  try {
    return await job.start();
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

/** The upload of one file. */
export class Upload {
  #server; #onProgress; #storageKey; #running; #paused; #cancelled; #wake;
  #controller = new AbortController();
  /** What the server has created: `videoId`, and for a multipart upload `uploadId`, `key` and `partSize`. */
  #session;
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

  /** Undefined until the server has created the video. */
  get videoId() { return this.#session?.videoId; }

  /** Starts the upload, or resumes it after a failure. @returns {Promise<{videoId: string}>} */
  start() {
    if (this.state === 'stored') return Promise.resolve({ videoId: this.videoId });
    const key = storageKeyOf(this.#server, this.file);
    this.#running ??= withLock(key, (acquired) => {
      // Without the lock, another upload of the same file is running, here or in another tab. This one then creates
      // a separate video and cannot be resumed after a reload.
      this.#storageKey = acquired ? key : undefined;
      return this.#run();
    }).finally(() => { this.#running = undefined; });
    return this.#running;
  }

  /** Stops sending. Uploaded parts are kept; a file that is not sent in parts starts over. */
  pause() {
    if (!['sending', 'waiting'].includes(this.state)) return;
    this.#paused = true;
    this.#controller.abort(PAUSED);
  }

  /** Continues after `pause()`. */
  resume() {
    this.#paused = false;
    this.#wake?.();
  }

  /** Cancels the upload and deletes it from the server; `start()` rejects with the reason. */
  async cancel(reason = new DOMException('The upload was cancelled.', 'AbortError')) {
    if (this.state === 'stored') return;
    this.#cancelled = reason;
    this.#controller.abort(reason);
    this.#wake?.();
    await (this.#running ?? this.#discard()).catch(() => {});
  }

  // #send can be interrupted anywhere: it checks what the server already has, so resuming means calling it again.
  async #run() {
    for (;;) {
      this.#controller = new AbortController();
      const { signal } = this.#controller;
      if (this.#cancelled) this.#controller.abort(this.#cancelled);
      this.#samples = [];
      try {
        await this.#send(signal);
        if (this.#cancelled) throw this.#cancelled;
        if (this.#storageKey) deleteSession(this.#storageKey);
        this.#report('stored');
        return { videoId: this.videoId };
      } catch (error) {
        if (signal.reason === PAUSED) {
          this.#report('paused');
          while (this.#paused && !this.#cancelled) await new Promise((wake) => { this.#wake = wake; });
          continue;
        }
        this.#controller.abort(error);
        if (this.#cancelled || error.refused) await this.#discard().catch(() => {});
        this.#report(this.#cancelled ? 'cancelled' : 'failed', error);
        throw this.#cancelled ?? error;
      }
    }
  }

  #send(signal) {
    signal.throwIfAborted();
    this.sent = 0;
    this.#report('sending');
    if (this.file.size <= MAX_FORM) return this.#sendForm(signal);
    return this.file.size <= MAX_PUT ? this.#sendPut(signal) : this.#sendParts(signal);
  }

  async #sendForm(signal) {
    const body = new FormData();
    body.append('file', this.file);
    this.#session = JSON.parse((await this.#retry(signal, async () => this.#transfer(signal, {
      method: 'POST', url: `${this.#server.api ?? ''}/upload`, body,
      // A retry after a lost response must not create a second video.
      headers: { ...await headersOf(this.#server), 'Idempotency-Key': this.#idempotencyKey },
    }))).responseText);
  }

  async #sendPut(signal) {
    await this.#retry(signal, async () => {
      // Requests that create something on the server are not aborted: their response identifies what to clean up.
      const query = new URLSearchParams({ ...this.#declared, name: this.file.name });
      this.#session ??= await json(this.#server, 'GET', `/presign?${query}`);
      const { method, uploadUrl: url, headers } = this.#session;
      try {
        await this.#transfer(signal, { method, url, headers, body: this.file });
      } catch (error) {
        // The URL is valid for five minutes only, and a new URL belongs to a new video.
        if (error.status === 403) await this.#discard();
        throw error;
      }
    });
  }

  async #sendParts(signal) {
    const { file } = this;
    const controller = this.#controller;
    const stored = await this.#findStoredParts(signal);
    if (!stored) return;
    const { uploadId, key, partSize } = this.#session ??= await this.#create(signal);
    const route = (rest) => `/s3/multipart/${uploadId}${rest}?${new URLSearchParams({ key })}`;
    const parts = [];
    const missing = [];
    for (const part of planParts(file.size, partSize)) {
      const same = stored.find(({ PartNumber, Size }) => PartNumber === part.number && Size === part.end - part.start);
      (same ? parts : missing).push(same ?? part);
    }
    this.#addSent(parts.reduce((sum, { Size }) => sum + Size, 0));
    const work = async () => {
      for (let part = missing.shift(); part; part = missing.shift()) {
        const { number, start, end } = part;
        const sent = await this.#retry(signal, async () => {
          // Each attempt signs a new URL, since URLs are valid for 15 minutes.
          const { url } = await json(this.#server, 'GET', route(`/${number}`), { signal });
          return this.#transfer(signal, { method: 'PUT', url, body: file.slice(start, end) });
        });
        const ETag = sent.getResponseHeader('ETag');
        if (!ETag) throw new UpreelError({ code: 'NO_ETAG', message: 'The CORS rules of the bucket do not expose ETag.' });
        parts.push({ PartNumber: number, ETag });
      }
    };
    // A worker that fails permanently stops the others.
    const workers = Array.from({ length: MAX_TRANSFERS }, () => work().catch((error) => controller.abort(error)));
    await Promise.all(workers);
    signal.throwIfAborted();
    this.#report('finishing');
    parts.sort((a, b) => a.PartNumber - b.PartNumber);
    let attempts = 0;
    await this.#retry(signal, async () => {
      attempts += 1;
      try {
        await call(this.#server, 'POST', route('/complete'), { body: { parts } });
      } catch (error) {
        if (attempts === 1 || error.status !== 404) throw error;
        // An earlier attempt may have succeeded with its response lost. The record can lag behind for a moment.
        error.temporary = true;
        if (!await this.#isStored()) throw error;
      }
    });
  }

  /** Returns the stored parts of an interrupted upload, or undefined if the upload turns out to be complete. */
  async #findStoredParts(signal) {
    this.#session ??= this.#storageKey && loadSession(this.#storageKey);
    if (!this.#session) return [];
    try {
      return await this.#retry(signal, () => listParts(this.#session, this.#server, signal));
    } catch (error) {
      if (error.status !== 404) throw error;
      if (await this.#isStored().catch(() => false)) return undefined;
      await this.#discard().catch(() => {});
      return [];
    }
  }

  /** Creates a multipart upload. */
  async #create(signal) {
    const body = { ...this.#declared, filename: this.file.name };
    const { uploadId, key } = await this.#retry(signal, () => json(this.#server, 'POST', '/s3/multipart', { body }));
    const { name, size, type, lastModified } = this.file;
    const videoId = key.split('/').pop().split('.')[0];
    const about = { name, size, type, lastModified, at: Date.now() };
    const session = { videoId, uploadId, key, partSize: partSizeOf(size), ...about };
    if (this.#storageKey) saveSession(this.#storageKey, session);
    return session;
  }

  /** The size and, where the browser's is to be trusted, the type. */
  get #declared() {
    const { name, type, size } = this.file;
    return type && !KNOWN_EXTENSIONS.test(name) ? { type, size } : { size };
  }

  async #isStored() {
    return (await get(this.videoId, this.#server)).status !== 'PENDING';
  }

  async #discard() {
    const session = this.#session;
    if (!session) return;
    await discard({ ...session, id: this.#storageKey }, this.#server);
    if (this.#session === session) this.#session = undefined;
  }

  #retry(signal, step) {
    return retry(step, { signal, onRetry: (error) => this.#report('waiting', error) });
  }

  async #transfer(signal, request) {
    let counted = 0;
    const count = (loaded) => { this.#addSent(loaded - counted); counted = loaded; };
    const total = request.body.size ?? this.file.size;
    try {
      const onSent = (loaded) => count(Math.min(loaded, total));
      const xhr = await withTransferSlot(() => transfer({ ...request, signal, onSent }));
      count(total);
      return xhr;
    } catch (error) {
      count(0);
      // Most likely the presigned URL has expired.
      if (error.status === 403 && request.method === 'PUT') error.temporary = true;
      throw error;
    }
  }

  #addSent(more) {
    this.sent += more;
    const now = performance.now();
    this.#samples.push({ now, sent: this.sent });
    while (now - this.#samples[0].now > 5000) this.#samples.shift();
    if (!this.#controller.signal.aborted) this.#report(this.sent < this.file.size ? 'sending' : 'finishing');
  }

  #report(state, error) {
    this.state = state;
    const first = this.#samples[0];
    const seconds = first && state === 'sending' ? (performance.now() - first.now) / 1000 : 0;
    const speed = seconds > 0.3 && this.sent > first.sent ? (this.sent - first.sent) / seconds : undefined;
    const { sent, file: { size: total } } = this;
    this.#onProgress?.({ state, sent, total, speed, secondsLeft: speed && (total - sent) / speed, error });
  }
}

/** Lists uploads that a page reload interrupted. Pass the same file to `upload()` to resume one. `sent` is the number
 * of bytes that the server has.
 * @typedef {{id: string, videoId: string, name: string, size: number, type: string, lastModified: number, sent: number}} Entry
 * @param {Server} [server] @returns {Promise<Entry[]>} */
export async function interrupted(server = {}) {
  const { held = [] } = await globalThis.navigator?.locks?.query() ?? {};
  const found = [];
  for (const id of ignoreErrors(() => Object.keys(localStorage)) ?? []) {
    const session = id.startsWith(storagePrefix(server)) && loadSession(id);
    if (!session || held.some(({ name }) => name === id)) continue;
    try {
      const parts = await listParts(session, server);
      found.push({ ...session, id, sent: parts.reduce((sum, { Size }) => sum + Size, 0) });
    } catch (error) {
      if (error.status !== 404) throw error;
      deleteSession(id);
    }
  }
  return found;
}

/** Deletes an interrupted upload. @param {Entry} entry @param {Server} [server] */
export async function discard({ id, videoId, uploadId, key }, server = {}) {
  const route = `/s3/multipart/${uploadId}?${new URLSearchParams({ key })}`;
  if (uploadId) await call(server, 'DELETE', route).catch(ignoreNotFound);
  await remove(videoId, server);
  if (id) deleteSession(id);
}

/** Whether a video is PROCESSED or FAILED and, with `renditions`, is not being transcoded to HLS.
 * @param {object} video @param {boolean} [renditions] */
export const isDone = ({ status, transcode }, renditions = false) => (
  ['PROCESSED', 'FAILED'].includes(status) && !(renditions && transcode?.status === 'RUNNING'));

/** Polls a video until it is PROCESSED or FAILED, and returns it. With `renditions`, also waits for a running HLS
 * transcoding to end. Polling stops while the page is hidden.
 * @param {string} videoId
 * @param {Server & {renditions?: boolean, onChange?: (video: object) => void, onRetry?: (error: Error) => void,
 *   signal?: AbortSignal}} [options]
 * @returns {Promise<object>} */
export async function watch(videoId, { renditions, onChange, onRetry, signal, ...server } = {}) {
  let etag;
  let video;
  for (let polls = 0; ; polls += 1) {
    let retried = false;
    const headers = etag && { 'If-None-Match': etag };
    const response = await retry(() => call(server, 'GET', videoPath(videoId), { headers, signal }), {
      signal, attempts: Infinity, onRetry: (error) => { retried = true; onRetry?.(error); },
    });
    const changed = response.status !== 304;
    if (changed) [etag, video] = [response.headers.get('ETag'), JSON.parse(response.text)];
    if (changed || retried) onChange?.(video);
    if (isDone(video, renditions)) return video;
    await waitFor(globalThis, 'online', { ms: retryAfter(response) || Math.min(3000, 500 * 1.5 ** polls), signal });
    while (document.hidden) await waitFor(document, 'visibilitychange', { signal });
  }
}

/** Returns one video. @param {string} videoId @param {Server & {signal?: AbortSignal}} [options] */
export const get = (videoId, { signal, ...server } = {}) => json(server, 'GET', videoPath(videoId), { signal });

/** Returns a page of videos, newest first.
 * @param {Server & {limit?: number, cursor?: string, signal?: AbortSignal}} [options]
 * @returns {Promise<{videos: object[], cursor?: string}>} */
export function list({ limit, cursor, signal, ...server } = {}) {
  const query = Object.entries({ limit, cursor }).filter(([, value]) => value !== undefined);
  return json(server, 'GET', `/videos?${new URLSearchParams(query)}`, { signal });
}

/** Deletes a video. Succeeds if it does not exist. @param {string} videoId @param {Server} [server] */
export async function remove(videoId, server = {}) {
  await call(server, 'DELETE', videoPath(videoId)).catch(ignoreNotFound);
}

/* Helpers that need no browser */

/** Returns the part size for a file: 8 MiB, or more if that would take over 10,000 parts. @param {number} size */
export const partSizeOf = (size) => Math.max(PART_SIZE, Math.ceil(size / MAX_PARTS / MiB) * MiB);

/** Splits a file into parts. @param {number} size @param {number} [partSize]
 * @returns {{number: number, start: number, end: number}[]} */
export function planParts(size, partSize = partSizeOf(size)) {
  return Array.from({ length: Math.ceil(size / partSize) }, (_, i) => (
    { number: i + 1, start: i * partSize, end: Math.min(size, (i + 1) * partSize) }));
}

/** Returns the delay before the next attempt in milliseconds: exponential up to 30 s, with 50 % jitter. */
export const backOff = (attempt, random = Math.random()) => Math.min(30_000, 500 * 2 ** attempt) * (0.5 + random / 2);

/** Identifies a file without reading it. @param {Pick<File, 'name' | 'size' | 'lastModified' | 'type'>} file */
export const fingerprint = ({ name, size, lastModified, type }) => JSON.stringify([name, size, lastModified, type]);

const videoPath = (videoId) => `/videos/${encodeURIComponent(videoId)}`;
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
const offline = () => globalThis.navigator?.onLine === false;

/* Stored sessions: localStorage maps a file's fingerprint to its multipart upload */

const storagePrefix = ({ api }) => `upreel ${new URL(api || '/', location.href)} `;
const storageKeyOf = (server, file) => storagePrefix(server) + fingerprint(file);

// Where localStorage fails (private windows, exceeded quota), uploads still work but restart after a reload.
const ignoreErrors = (work) => { try { return work(); } catch { return undefined; } };
const saveSession = (key, session) => ignoreErrors(() => { localStorage.setItem(key, JSON.stringify(session)); });
const deleteSession = (key) => ignoreErrors(() => { localStorage.removeItem(key); });
const loadSession = (key) => ignoreErrors(() => {
  const session = JSON.parse(localStorage.getItem(key));
  return session && Date.now() - session.at < SESSION_TTL ? session : deleteSession(key);
});

/** Runs `work` with whether this page acquired the Web Lock of that name; it holds the lock until `work` is done. */
function withLock(name, work) {
  const locks = globalThis.navigator?.locks;
  return locks ? locks.request(name, { ifAvailable: true }, (lock) => work(Boolean(lock))) : work(true);
}

/* Requests */

const headersOf = ({ headers }) => (typeof headers === 'function' ? headers() : headers);
const json = async (...request) => JSON.parse((await call(...request)).text);
const ignoreNotFound = (error) => { if (error.status !== 404) throw error; };
const listParts = ({ uploadId, key }, server, signal) => (
  json(server, 'GET', `/s3/multipart/${uploadId}?${new URLSearchParams({ key })}`, { signal }));
const retryAfter = (response) => {
  const text = response.headers.get('Retry-After') ?? '';
  return Math.max(0, /^\d+$/.test(text) ? text * 1000 : Date.parse(text) - Date.now()) || 0;
};

/** Sends a request to the API and returns the response with its body. */
async function call(server, method, path, { headers, body, signal } = {}) {
  const serverHeaders = await headersOf(server);
  let response;
  let text;
  try {
    response = await fetch((server.api ?? '') + path, {
      method, cache: 'no-store', headers: { ...serverHeaders, ...headers }, body: body && JSON.stringify(body),
      signal: AbortSignal.any([AbortSignal.timeout(STALL_TIMEOUT), ...(signal ? [signal] : [])]),
    });
    text = await response.text();
  } catch (cause) {
    throw signal?.aborted ? signal.reason : networkError(cause);
  }
  if (response.ok || response.status === 304) return { status: response.status, headers: response.headers, text };
  throw responseError(response.status, text, retryAfter(response));
}

/** Sends a body with XMLHttpRequest, which reports upload progress; fetch does not. */
function transfer({ method, url, headers = {}, body, signal, onSent }) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    let timer;
    let sent = false;
    const restartTimer = () => {
      clearTimeout(timer);
      timer = setTimeout(() => xhr.abort(), STALL_TIMEOUT);
    };
    // Once the whole body is sent, the response is worth waiting for.
    const abort = () => { if (!sent) xhr.abort(); };
    xhr.upload.onprogress = ({ loaded }) => { restartTimer(); onSent(loaded); };
    xhr.upload.onload = () => { sent = true; };
    xhr.onload = () => (xhr.status < 300 ? resolve(xhr) : reject(responseError(xhr.status, xhr.responseText)));
    xhr.onabort = () => reject(signal.aborted ? signal.reason : networkError());
    // XHR reports a lost connection and an unreadable file alike. Reading a byte of the file distinguishes them.
    xhr.onerror = () => (body instanceof Blob ? body : body.get('file')).slice(0, 1).arrayBuffer().then(
      () => reject(networkError()),
      (cause) => reject(new UpreelError({
        code: 'UNREADABLE_FILE', message: 'This file cannot be read. It was moved or changed, or is a folder.', cause,
      })),
    );
    xhr.onloadend = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    };
    signal.throwIfAborted();
    signal.addEventListener('abort', abort);
    xhr.open(method, url);
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    restartTimer();
    xhr.send(body);
  });
}

const transferSlots = { free: MAX_TRANSFERS, waiting: [] };

/** Runs `work` when fewer than MAX_TRANSFERS transfers are running. */
async function withTransferSlot(work) {
  if (transferSlots.free) transferSlots.free -= 1;
  else await new Promise((resume) => { transferSlots.waiting.push(resume); });
  try {
    return await work();
  } finally {
    const next = transferSlots.waiting.shift();
    if (next) next(); else transferSlots.free += 1;
  }
}

/** Repeats `step` until it succeeds or fails permanently. Time spent offline does not count as an attempt. */
async function retry(step, { signal, attempts = MAX_ATTEMPTS, onRetry }) {
  for (let attempt = 0; ; attempt += 1) {
    while (offline()) {
      onRetry?.(new UpreelError({ code: 'OFFLINE', message: 'This device is offline.' }));
      await waitFor(globalThis, 'online', { signal });
    }
    signal?.throwIfAborted();
    try {
      return await step();
    } catch (error) {
      if (signal?.aborted || !error.temporary || attempt + 1 >= attempts) throw error;
      if (offline()) attempt = -1;
      onRetry?.(error);
      // A restored connection ends the delay early.
      await waitFor(globalThis, 'online', { ms: error.retryAfter || backOff(Math.max(0, attempt)), signal });
    }
  }
}

/** Waits for an event, or for `ms` milliseconds if given. Rejects when `signal` aborts. */
function waitFor(target, type, { ms, signal }) {
  return new Promise((resolve, reject) => {
    const end = (settle) => () => {
      clearTimeout(timer);
      target.removeEventListener?.(type, proceed);
      signal?.removeEventListener('abort', abort);
      settle();
    };
    const proceed = end(resolve);
    const abort = end(() => reject(signal.reason));
    const timer = ms === undefined ? undefined : setTimeout(proceed, ms);
    target.addEventListener?.(type, proceed);
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
  });
}

const networkError = (cause) => new UpreelError({ code: 'NETWORK', message: 'The server cannot be reached.', cause });

/** Builds the error for a response from its problem+json or S3's XML. Other bodies, such as a proxy's HTML, leave only
 * the status. */
function responseError(status, text, wait = 0) {
  let problem = {};
  try {
    problem = JSON.parse(text);
  } catch {
    problem = { code: /<Code>(.+?)<\/Code>/.exec(text)?.[1], detail: /<Message>(.+?)<\/Message>/.exec(text)?.[1] };
  }
  const message = problem.detail ?? problem.message ?? `The server responded with status ${status}.`;
  return new UpreelError({ status, code: problem.code ?? `HTTP_${status}`, message, retryAfter: wait });
}
