// upreel.js: uploads videos to Upreel. Uploads can be paused, and resumed after a lost connection or a page reload. A
// single file without dependencies or a build step: copy it into your project, or install the package `upreel`.
// Runs in Chrome and Edge 100, Firefox 97, Safari 15.4 (all of 2022), Node 18, and later ones. Licence: Apache-2.0.
//
//   import { upload, watch } from './upreel.js';
//   const server = { api: 'https://api.example.com', headers: { Authorization: idToken } };
//   const { videoId } = await upload(file, { ...server, onProgress: ({ sent, total }) => draw(sent / total) });
//   const video = await watch(videoId, { ...server, onChange: show });
//   // To pause, resume and cancel: const job = new Upload(file, server); job.start(); job.pause(); ...

const MiB = 2 ** 20;
/** Largest file sent as a form through the API, which accepts request bodies of up to 4.4 MiB, form fields included. */
const MAX_FORM = 4.4 * MiB - 4096;
/** Largest file sent in a single PUT. Larger ones are sent in parts, so that they never start over. */
const MAX_PUT = 16 * MiB;
/** S3 requires at least 5 MiB per part and at most 10,000 parts. */
const MIN_PART = 5 * MiB;
/** Part size of files that are large enough. A lost connection discards at most this much per transfer. */
const USUAL_PART = 8 * MiB;
const MAX_PARTS = 10_000;
/** Concurrent transfers over all uploads. Browsers open six connections per host, and images need some of them. */
const MAX_TRANSFERS = 4;
/** Attempts per request. With the delays in between, they span about 90 seconds. */
const MAX_ATTEMPTS = 10;
/** Milliseconds without upload progress after which a connection counts as dead; also the timeout of API requests. */
const STALL_TIMEOUT = 60_000;
/** How long an interrupted upload can be resumed: the buckets abort older multipart uploads. */
const SESSION_TTL = 24 * 3600_000;
/** Shortest and longest time between two polls in milliseconds. */
const MIN_POLL = 1000;
const MAX_POLL = 5000;
/** Up to this many videos are polled one by one, with If-None-Match. More are found in the list of videos. */
const MAX_SINGLE_POLLS = 3;
/** The most pages of the list that one poll reads. */
const MAX_LIST_PAGES = 3;
/** Extensions whose type the server knows. Browsers derive the type from them too, some wrongly: `.ts`, `.mkv`. */
const KNOWN_EXTENSIONS = /\.(3g2|3gpp?|aac|asf|avi|flac|flv|m1v|m2p|m2ts|m2v|m4[abv]|mka|mkv|mov|mp3|mp4|mpe?g|mpv|mts|og[agv]|opus|qt|ts|vob|wav|weba|webm|wmv)$/i;
const PAUSED = Symbol('paused');

/**
 * @typedef {object} Server
 * @property {string} [api] base URL of the API; defaults to the origin of the page
 * @property {Record<string, string> | (() => Record<string, string> | Promise<Record<string, string>>)} [headers]
 *   headers of every API request, such as Authorization; a function is called for each request, since tokens expire
 * @property {boolean} [audio] whether the server accepts files with audio alone: its parameter `Audio`
 *
 * @typedef {'ready' | 'sending' | 'waiting' | 'pausing' | 'paused' | 'finishing' | 'stored' | 'failed' | 'cancelled'} State
 *   `waiting`: for the connection, or before the next attempt; `pausing`: the requests in progress are finished first
 *
 * @typedef {object} Progress
 * @property {State} state
 * @property {number} sent bytes
 * @property {number} total bytes
 * @property {number} [speed] bytes per second, averaged over the last 5 seconds
 * @property {number} [secondsLeft]
 * @property {UpreelError} [error] why the upload is waiting or has failed
 *
 * @typedef {object} Entry an upload that was interrupted, such as by a reload of the page
 * @property {string} id
 * @property {string} [videoId] undefined if it was sent in one request through the API
 * @property {string} name
 * @property {number} size
 * @property {string} type
 * @property {number} lastModified
 * @property {number} sent bytes that the server has
 * @property {string} [uploadId]
 * @property {string} [key]
 *
 * @typedef {object} Failure why a video could not be processed
 * @property {'UNSUPPORTED_MEDIA' | 'EMPTY_FILE' | 'TOO_LARGE' | 'TOO_LONG' | 'QUOTA_EXCEEDED' | 'NO_VIDEO' | 'ENCRYPTED'
 *   | 'UNREADABLE' | 'TOO_COMPLEX' | 'LOST' | 'SOURCE_FORBIDDEN' | 'SOURCE_UNAVAILABLE' | 'SOURCE_TIMEOUT' | 'FETCH_FAILED'
 *   | 'INTERNAL' | 'INFECTED' | 'REJECTED' | 'NOT_CHECKED'} code
 * @property {string} message for users
 *
 * @typedef {object} Fetch progress of the copy of a video from a URL
 * @property {number} bytesDone
 * @property {number} [bytesTotal] undefined if the source does not state its size
 *
 * @typedef {object} Transcode progress of the renditions
 * @property {'OFFERED' | 'RUNNING' | 'DONE' | 'FAILED'} status `OFFERED`: the first request for `/videos/{videoId}/hls/master.m3u8` starts it; `hlsUrl` is absent until it is DONE
 * @property {number} chunksDone
 * @property {number} chunksTotal 0 until planning is done
 * @property {Failure} [error]
 *
 * @typedef {object} Rendition what can be encoded beside the original: a request for its playlist starts that
 * @property {string} name `v` and the length of the shorter side in pixels, such as `v720`
 * @property {'OFFERED' | 'RUNNING' | 'DONE' | 'FAILED'} status `DONE`: the master playlist has it
 *
 * @typedef {object} Playback how the original can be played
 * @property {'HLS' | 'ORIGINAL'} mode by segments without transcoding, or only as a file
 * @property {string} [reason] why not by HLS, such as `OPEN_GOP`
 *
 * @typedef {object} Captions a track of captions
 * @property {string} language language tag (BCP 47)
 * @property {string} label name to show
 * @property {'subtitles' | 'captions'} kind as the attribute of `<track>`
 * @property {string} [url] WebVTT file, valid for 10 to 15 minutes; not in lists
 *
 * @typedef {object} Details what the user says about a video; the limits are in openapi.yaml
 * @property {string} [title] show `filename` without one
 * @property {string} [description] may have several lines
 * @property {string[]} [tags]
 * @property {Record<string, string>} [metadata] texts that only your application understands
 * @property {string} [expiresAt] RFC 3339; the video is deleted then
 *
 * @typedef {object} Change fields to set, and with null to remove; those that are left out stay as they are
 * @property {string | null} [title]
 * @property {string | null} [description]
 * @property {string[] | null} [tags] all tags
 * @property {Record<string, string | null> | null} [metadata] entries to set or remove
 * @property {string | null} [expiresAt]
 *
 * @typedef {object} Video as openapi.yaml describes it; fields without a known value are missing
 * @property {string} videoId
 * @property {string} userId
 * @property {string} filename
 * @property {string} contentType
 * @property {number} [size] bytes
 * @property {'PENDING' | 'UPLOADED' | 'PROCESSING' | 'PROCESSED' | 'FAILED'} status
 * @property {'PENDING'} [check] the upload is held until it is checked; the status is UPLOADED
 * @property {string} uploadTime RFC 3339
 * @property {string} [title]
 * @property {string} [description]
 * @property {string[]} [tags]
 * @property {Record<string, string>} [metadata]
 * @property {string} [expiresAt] RFC 3339
 * @property {'AUDIO'} [kind] a file with audio alone
 * @property {string} [thumbnailUrl] poster, 640 pixels wide
 * @property {string} [thumbnailLargeUrl] poster, 1280 pixels wide
 * @property {string} [storyboardUrl] WebVTT file that maps times to tiles of the storyboard
 * @property {string} [storyboardImageUrl] image of up to 100 tiles
 * @property {string} [peaksUrl] JSON with the peaks of the waveform of a file with audio alone
 * @property {string} [url] plays the original, valid for 10 to 15 minutes; not in lists
 * @property {string} [downloadUrl] downloads the original under its filename; not in lists
 * @property {string} [blurHash] placeholder to show while the poster loads
 * @property {string} [hlsUrl] master playlist, present as soon as the original can be played by HLS or renditions exist
 * @property {Playback} [playback]
 * @property {Fetch} [fetch] present while the server copies the video from a URL, with status `PENDING`
 * @property {Transcode} [transcode]
 * @property {Rendition[]} [renditions]
 * @property {Captions[]} [captions]
 * @property {number} [durationMs]
 * @property {number} [width] display width in pixels
 * @property {number} [height] display height in pixels
 * @property {0 | 90 | 180 | 270} [rotation] clockwise degrees by which players rotate the stored frames
 * @property {true} [mirrored] players mirror the stored frames before they rotate them
 * @property {number} [frameRate]
 * @property {string} [videoCodec] FFmpeg's name
 * @property {string} [colorTransfer] FFmpeg's name; `smpte2084` and `arib-std-b67` are HDR
 * @property {number} [dolbyVisionProfile] present if the video is Dolby Vision
 * @property {string} [audioCodec] FFmpeg's name
 * @property {number} [audioChannels]
 * @property {number} [audioSampleRate]
 * @property {'mp4' | 'mov' | '3gp' | 'webm' | 'mkv' | 'avi' | 'mpegts' | 'mpegps' | 'mpegvideo'
 *   | 'flv' | 'ogg' | 'wmv' | 'mp3' | 'aac' | 'flac' | 'wav'} [container]
 * @property {Failure} [error]
 *
 * @typedef {object} Problem the body of an error response (RFC 9457)
 * @property {string} type
 * @property {string} title
 * @property {number} status
 * @property {string} detail what to do
 * @property {'INVALID_REQUEST' | 'MALFORMED_BODY' | 'INVALID_CAPTIONS' | 'MISSING_FILE' | 'EMPTY_FILE' | 'UNAUTHORIZED'
 *   | 'NOT_FOUND' | 'NOT_READY' | 'METHOD_NOT_ALLOWED' | 'CONFLICT' | 'PRECONDITION_FAILED' | 'QUOTA_EXCEEDED'
 *   | 'TOO_LARGE' | 'UNSUPPORTED_MEDIA' | 'UNDECODABLE' | 'IDEMPOTENCY_MISMATCH' | 'FETCH_DISABLED' | 'INTERNAL'} code
 * @property {string} error same as `title`
 * @property {string} message same as `detail`
 * @property {'bytes' | 'videos' | 'uploads'} [quota] the quota that the request would exceed
 * @property {number} [limit] of this quota
 * @property {number} [used]
 * @property {number} [left]
 *
 * @typedef {object} Quantity
 * @property {number} used
 * @property {number} [limit] undefined if there is none
 * @property {number} [left] undefined if there is no limit
 *
 * @typedef {object} Usage empty if there are no quotas
 * @property {Quantity} [bytes]
 * @property {Quantity} [videos]
 * @property {Quantity} [uploads] those in progress
 * @property {number} [maxDurationSeconds]
 * @property {string[]} [types] the containers that are accepted; undefined if all are
 */

/** @typedef {{videoId?: string, idempotencyKey?: string, uploadId?: string, key?: string, partSize?: number,
 *   method?: string, uploadUrl?: string, headers?: Record<string, string>}} Session what the server has created
 * @typedef {{method: string, url: string, headers?: Record<string, string>, body: Blob | FormData, toApi?: boolean}} Transfer
 * @typedef {{status: number, etag: string | null, text: string}} Answer
 * @typedef {{status: number, headers: Headers, text: string}} ApiResponse
 * @typedef {{renditions?: boolean, onChange: (video: Video) => void, onRetry: (error: UpreelError) => void,
 *   fail: (error: unknown) => void, last?: string, retried?: boolean}} Watcher */

/** A failed request. `message` can be shown to users; `code` is the server's, or NETWORK, OFFLINE, UNREADABLE_FILE. */
export class UpreelError extends Error {
  /** @param {{status?: number, code: string, message: string, retryAfter?: number, cause?: unknown}} details */
  constructor({ status = 0, code, message, retryAfter = 0, cause }) {
    super(message, { cause });
    this.name = 'UpreelError';
    /** HTTP status, or 0. */
    this.status = status;
    this.code = code;
    /** Milliseconds that the server asks to wait. */
    this.retryAfter = retryAfter;
    /** Whether this file is rejected, so that sending it again is pointless. */
    this.refused = [400, 413, 415, 422].includes(status);
    /** Whether a retry with this file makes no sense: it is rejected, or has to be chosen again. */
    this.final = this.refused || code === 'UNREADABLE_FILE';
    /** Whether a retry may succeed. */
    this.temporary = code === 'NETWORK' || [408, 425, 429].includes(status) || status >= 500;
  }
}

/** Uploads a file and returns the id of its video. @param {File} file
 * @param {Server & {details?: Details, onProgress?: (progress: Progress) => void, signal?: AbortSignal}} [options]
 * @returns {Promise<{videoId: string}>} */
export async function upload(file, { signal, ...options } = {}) {
  signal?.throwIfAborted();
  const job = new Upload(file, options);
  const cancel = () => { job.cancel(signal?.reason); };
  signal?.addEventListener('abort', cancel);
  try {
    return await job.start();
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

/** The upload of one file. */
export class Upload {
  /** @type {Server} */ #server;
  /** @type {Details} */ #details;
  /** @type {((progress: Progress) => void) | undefined} */ #onProgress;
  /** @type {string | undefined} */ #storageKey;
  /** @type {Promise<{videoId: string}> | undefined} */ #running;
  /** @type {unknown} */ #cancelled;
  #paused = false;
  /** @type {(() => void) | undefined} */ #wake;
  /** Ends everything, the transfers in progress too. */ #abort = new AbortController();
  /** Ends what waits or prepares a transfer; a transfer in progress goes on. */ #pause = new AbortController();
  /** @type {Session | undefined} */ #session;
  /** @type {{now: number, sent: number}[]} */ #samples = [];
  /** @type {State} */ state = 'ready';
  /** Bytes. */ sent = 0;

  /** @param {File} file @param {Server & {details?: Details, onProgress?: (progress: Progress) => void}} [options] */
  constructor(file, { details = {}, onProgress, ...server } = {}) {
    this.file = file;
    this.#details = details;
    this.#server = server;
    this.#onProgress = onProgress;
  }

  /** Undefined until the server has created the video. */
  get videoId() { return this.#session?.videoId; }

  /** Starts the upload, or resumes it after a failure. @returns {Promise<{videoId: string}>} */
  start() {
    if (this.state === 'stored') return Promise.resolve({ videoId: String(this.videoId) });
    const key = storageKeyOf(this.#server, this.file);
    this.#running ??= withLock(key, (acquired) => {
      // Without the lock, another upload of the same file is running, here or in another tab. This one then creates
      // a separate video and cannot be resumed after a reload.
      this.#storageKey = acquired ? key : undefined;
      return this.#run();
    }).finally(() => { this.#running = undefined; });
    return this.#running;
  }

  /** Stops sending once the requests in progress have finished, so that nothing is sent twice. A file that is sent in
   * one request can therefore be `stored` after this. */
  pause() {
    if (!['sending', 'waiting'].includes(this.state)) return;
    this.#paused = true;
    if (this.state === 'sending') this.#report('pausing');
    this.#pause.abort(PAUSED);
  }

  /** Continues after `pause()`. */
  resume() {
    this.#paused = false;
    this.#wake?.();
  }

  /** Cancels the upload and deletes it from the server; `start()` rejects with the reason. */
  async cancel(/** @type {unknown} */ reason = new DOMException('The upload was cancelled.', 'AbortError')) {
    if (this.state === 'stored') return;
    this.#cancelled = reason;
    this.#pause.abort(reason);
    this.#abort.abort(reason);
    this.#wake?.();
    if (this.#running) await this.#running.catch(() => {});
    else {
      await this.#discard().catch(() => {});
      this.#report('cancelled');
    }
  }

  // #send can be interrupted anywhere: it checks what the server already has, so resuming means calling it again.
  async #run() {
    for (;;) {
      this.#abort = new AbortController();
      this.#pause = new AbortController();
      this.#samples = [];
      try {
        if (this.#cancelled) throw this.#cancelled;
        this.#report('sending');
        await refuseUnsupported(this.file, this.#server.audio);
        await this.#send();
        if (this.#cancelled) throw this.#cancelled;
        if (this.#storageKey) deleteSession(this.#storageKey);
        this.#report('stored');
        return { videoId: String(this.videoId) };
      } catch (error) {
        if (error === PAUSED && !this.#cancelled) {
          this.#report('paused');
          while (this.#paused && !this.#cancelled) await new Promise((wake) => { this.#wake = () => wake(undefined); });
          continue;
        }
        this.#abort.abort(error);
        if (this.#cancelled || error.refused) await this.#discard().catch(() => {});
        this.#report(this.#cancelled ? 'cancelled' : 'failed', error);
        throw this.#cancelled ?? error;
      }
    }
  }

  #send() {
    this.#session ??= this.#storageKey ? loadSession(this.#storageKey) : undefined;
    if (this.file.size <= MAX_FORM) return this.#sendForm();
    return this.file.size <= MAX_PUT ? this.#sendPut() : this.#sendParts();
  }

  async #sendForm() {
    const body = new FormData();
    for (const [name, text] of Object.entries(this.#said)) if (text !== undefined) body.append(name, text);
    body.append('file', this.file);
    // A retry after a lost response, or after a reload, must not create a second video.
    const session = this.#keep(this.#session ?? { idempotencyKey: hex(crypto.getRandomValues(new Uint8Array(16))) });
    const { text } = await this.#retry(() => this.#transfer(async () => ({
      method: 'POST',
      url: `${this.#server.api ?? ''}/upload`,
      toApi: true,
      body,
      headers: { ...await headersOf(this.#server), 'Idempotency-Key': String(session.idempotencyKey) },
    })));
    this.#session = { ...session, videoId: JSON.parse(text).videoId };
  }

  async #sendPut() {
    // A URL is valid for five minutes only, and a new URL belongs to a new video. It is not stored: after a reload,
    // either the file turns out to be complete, or it is sent again.
    if (this.#session && !this.#session.uploadUrl) {
      if (await this.#retry(() => this.#isStored()).catch(ignoreNotFound)) return;
      await this.#discard();
    }
    await this.#retry(async () => {
      try {
        await this.#transfer(async () => {
          // Requests that create something on the server are not aborted: their response identifies what to clean up.
          const query = queryOf({ ...this.#declared, ...this.#said, name: this.file.name });
          const created = this.#session ?? await json(this.#server, 'GET', `/presign?${query}`);
          const { method, uploadUrl: url, headers } = this.#keep(created, ['videoId']);
          return { method: String(method), url: String(url), headers, body: this.file };
        });
      } catch (error) {
        if (error.status === 403) await this.#discard();
        throw error;
      }
    });
  }

  async #sendParts() {
    const { file } = this;
    const stored = await this.#findStoredParts();
    if (!stored) return;
    const session = this.#session ??= await this.#create();
    const { partSize } = session;
    /** @type {{PartNumber: number, ETag: string, Size: number}[]} */
    const parts = [];
    /** @type {ReturnType<typeof planParts>} */
    const missing = [];
    for (const part of planParts(file.size, partSize)) {
      const same = stored.find(({ PartNumber, Size }) => PartNumber === part.number && Size === part.end - part.start);
      if (same) parts.push({ PartNumber: same.PartNumber, ETag: same.ETag, Size: same.Size });
      else missing.push(part);
    }
    const total = parts.length + missing.length;
    this.#addSent(parts.reduce((sum, { Size }) => sum + Size, -this.sent));
    const work = async () => {
      for (let part = missing.shift(); part && !this.#pause.signal.aborted; part = missing.shift()) {
        const { number, start, end } = part;
        const { etag } = await this.#retry(() => this.#transfer(async () => {
          // Each attempt signs a new URL, since URLs are valid for 15 minutes.
          const { url } = await json(this.#server, 'GET', routeOf(session, `/${number}`), { signal: this.#pause.signal });
          return { method: 'PUT', url, body: file.slice(start, end) };
        }));
        if (!etag) throw new UpreelError({ code: 'NO_ETAG', message: 'The CORS rules of the bucket do not expose ETag.' });
        parts.push({ PartNumber: number, ETag: etag, Size: end - start });
      }
    };
    // A worker that fails permanently stops the others; those of a paused upload finish the part that they send.
    const workers = Array.from({ length: transfersOf(file.size, partSize) }, () => work().catch((error) => {
      if (error !== PAUSED) this.#abort.abort(error);
    }));
    await Promise.all(workers);
    this.#abort.signal.throwIfAborted();
    if (parts.length < total) throw PAUSED;
    this.#report('finishing');
    const body = { parts: parts.map(({ PartNumber, ETag }) => ({ PartNumber, ETag })) };
    body.parts.sort((a, b) => a.PartNumber - b.PartNumber);
    let attempts = 0;
    await this.#retry(async () => {
      attempts += 1;
      try {
        await call(this.#server, 'POST', routeOf(session, '/complete'), { body });
      } catch (error) {
        if (attempts === 1 || error.status !== 404) throw error;
        // An earlier attempt may have succeeded with its response lost. The record can lag behind for a moment.
        error.temporary = true;
        if (!await this.#isStored()) throw error;
      }
    });
  }

  /** Returns the stored parts of an interrupted upload, or undefined if the upload turns out to be complete. */
  async #findStoredParts() {
    const session = this.#session;
    if (!session) return [];
    try {
      return await this.#retry(() => listParts(session, this.#server, this.#pause.signal));
    } catch (error) {
      if (error.status !== 404) throw error;
      if (await this.#isStored().catch(() => false)) return undefined;
      await this.#discard().catch(() => {});
      return [];
    }
  }

  /** Creates a multipart upload. */
  async #create() {
    const body = { ...this.#details, ...this.#declared, filename: this.file.name };
    const { uploadId, key } = await this.#retry(() => json(this.#server, 'POST', '/s3/multipart', { body }));
    const videoId = key.split('/').pop().split('.')[0];
    return this.#keep({ videoId, uploadId, key, partSize: partSizeOf(this.file.size) });
  }

  /** Sets the session, and stores `fields` of it for after a reload. @param {Session} session @param {string[]} [fields] */
  #keep(session, fields = Object.keys(session)) {
    if (this.#session === session) return session;
    this.#session = session;
    const { name, size, type, lastModified } = this.file;
    const stored = Object.fromEntries(Object.entries(session).filter(([field]) => fields.includes(field)));
    if (this.#storageKey) saveSession(this.#storageKey, { ...stored, name, size, type, lastModified, at: Date.now() });
    return session;
  }

  /** The size and, where the browser's is to be trusted, the type. */
  get #declared() {
    const { name, type, size } = this.file;
    const isMedia = type.startsWith('video/') || (this.#server.audio && type.startsWith('audio/'));
    return { size, type: isMedia && !KNOWN_EXTENSIONS.test(name) ? type : undefined };
  }

  /** The details, as texts for a form or a query. @returns {Record<string, string | undefined>} */
  get #said() {
    const { title, description, tags, metadata, expiresAt } = this.#details;
    return { title, description, tags: tags?.join(), metadata: metadata && JSON.stringify(metadata), expiresAt };
  }

  async #isStored() {
    return (await get(String(this.videoId), this.#server)).status !== 'PENDING';
  }

  async #discard() {
    const session = this.#session;
    if (!session) return;
    await discard({ ...session, id: this.#storageKey }, this.#server);
    if (this.#session === session) this.#session = undefined;
  }

  /** @template T @param {() => Promise<T>} step @returns {Promise<T>} */
  #retry(step) {
    return retry(step, {
      signal: this.#pause.signal,
      onRetry: (error) => this.#report('waiting', error),
    });
  }

  /** Sends what `prepare` returns, once a transfer may start. @param {() => Promise<Transfer>} prepare */
  #transfer(prepare) {
    return withTransferSlot(this.#pause.signal, async () => {
      const request = await prepare();
      this.#pause.signal.throwIfAborted();
      let counted = 0;
      const count = (/** @type {number} */ loaded) => { this.#addSent(loaded - counted); counted = loaded; };
      const total = request.body instanceof Blob ? request.body.size : this.file.size;
      // A file that is sent in one request starts over.
      if (total === this.file.size) count(-this.sent);
      counted = 0;
      try {
        const onSent = (/** @type {number} */ loaded) => count(Math.min(loaded, total));
        const answer = await transfer({ ...request, signal: this.#abort.signal, onSent });
        count(total);
        return answer;
      } catch (error) {
        count(0);
        // Most likely the presigned URL has expired.
        if (error.status === 403 && request.method === 'PUT') error.temporary = true;
        throw error;
      }
    });
  }

  /** @param {number} more */
  #addSent(more) {
    this.sent += more;
    const now = performance.now();
    this.#samples.push({ now, sent: this.sent });
    while (now - this.#samples[0].now > 5000) this.#samples.shift();
    if (this.#abort.signal.aborted) return;
    if (this.#paused) this.#report('pausing');
    else this.#report(this.sent < this.file.size ? 'sending' : 'finishing');
  }

  /** @param {State} state @param {UpreelError} [error] */
  #report(state, error) {
    this.state = state;
    const first = this.#samples[0];
    const seconds = first && state === 'sending' ? (performance.now() - first.now) / 1000 : 0;
    const speed = seconds > 0.3 && this.sent > first.sent ? (this.sent - first.sent) / seconds : undefined;
    const { sent, file: { size: total } } = this;
    this.#onProgress?.({ state, sent, total, speed, secondsLeft: speed && (total - sent) / speed, error });
  }
}

/** Lists uploads that a page reload interrupted. Pass the same file to `upload()` to resume one; a file of up to 16 MiB
 * is sent again. @param {Server} [server] @returns {Promise<Entry[]>} */
export async function interrupted(server = {}) {
  const running = await runningUploads();
  /** @type {Entry[]} */
  const found = [];
  for (const [id, session] of storedSessions(server)) {
    if (running.includes(id)) continue;
    const sent = await sentBytes(session, server);
    if (sent === undefined) deleteSession(id);
    else found.push({ ...session, id, sent });
  }
  return found;
}

/** Returns the ids of the videos that tabs of this browser are uploading. @param {Server} [server] */
export async function uploading(server = {}) {
  const running = await runningUploads();
  return storedSessions(server).flatMap(([id, { videoId }]) => (videoId && running.includes(id) ? [videoId] : []));
}

/** Deletes an interrupted upload. @param {Omit<Partial<Entry>, 'sent'>} entry @param {Server} [server] */
export async function discard({ id, videoId, uploadId, key }, server = {}) {
  if (uploadId) await call(server, 'DELETE', routeOf({ uploadId, key })).catch(ignoreNotFound);
  if (videoId) await remove(videoId, server);
  if (id) deleteSession(id);
}

/** Whether a video is PROCESSED or FAILED and, with `renditions`, is not being transcoded to HLS.
 * @param {Pick<Video, 'status' | 'transcode'>} video @param {boolean} [renditions] */
export const isDone = ({ status, transcode }, renditions = false) => (
  ['PROCESSED', 'FAILED'].includes(status) && !(renditions && transcode?.status === 'RUNNING'));

/** Follows a video until it is PROCESSED or FAILED, and returns the video that the last `onChange` received. All videos
 * that are followed on a server share one poller, which stops while the page is hidden. More than three videos are
 * read from the list of videos, where they have no `url`. With `renditions`, also waits for a running HLS transcoding
 * to end.
 * @param {string} videoId
 * @param {Server & {renditions?: boolean, onChange?: (video: Video) => void, onRetry?: (error: UpreelError) => void,
 *   signal?: AbortSignal}} [options]
 * @returns {Promise<Video>} */
export function follow(videoId, { renditions, onChange, onRetry, signal, ...server } = {}) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const poller = pollerOf(server);
    const end = () => {
      poller.remove(videoId, watcher);
      signal?.removeEventListener('abort', abort);
    };
    const abort = () => { end(); reject(signal?.reason); };
    /** @type {Watcher} */
    const watcher = {
      onRetry: (error) => onRetry?.(error),
      fail: (error) => { end(); reject(error); },
      onChange: (video) => {
        const done = isDone(video, renditions);
        if (done) end();
        try {
          onChange?.(video);
          if (done) resolve(video);
        } catch (error) {
          end();
          reject(error);
        }
      },
    };
    signal?.addEventListener('abort', abort);
    poller.add(videoId, watcher);
  });
}

/** Waits until a video is PROCESSED or FAILED, and returns it, with the URL that plays it. See `follow`.
 * @param {string} videoId
 * @param {Server & {renditions?: boolean, onChange?: (video: Video) => void, onRetry?: (error: UpreelError) => void,
 *   signal?: AbortSignal}} [options]
 * @returns {Promise<Video>} */
export async function watch(videoId, options = {}) {
  const video = await follow(videoId, options);
  return video.url || video.status === 'FAILED' ? video : get(videoId, options);
}

/** Returns one video. @param {string} videoId @param {Server & {signal?: AbortSignal}} [options] @returns {Promise<Video>} */
export const get = (videoId, { signal, ...server } = {}) => json(server, 'GET', videoPath(videoId), { signal });

/** Returns a page of videos, newest first: all of them, or those whose title begins with `title` and that have `tag`. A page
 * of a search can have few videos, or none, and a cursor.
 * @param {Server & {limit?: number, cursor?: string, title?: string, tag?: string, signal?: AbortSignal}} [options]
 * @returns {Promise<{videos: Video[], cursor?: string}>} */
export function list({ limit, cursor, title, tag, signal, ...server } = {}) {
  return json(server, 'GET', listPath({ limit, cursor, title, tag }), { signal });
}

/** Has the server fetch a video from an https URL, and returns its identifier; `watch` tells when it is processed. With an
 * `idempotencyKey`, a repetition returns the same video.
 * @param {string} url @param {Change & {name?: string, type?: string}} [details]
 * @param {Server & {idempotencyKey?: string, signal?: AbortSignal}} [options]
 * @returns {Promise<{videoId: string, status: Video['status']}>} */
export function importUrl(url, details = {}, { idempotencyKey, signal, ...server } = {}) {
  const headers = idempotencyKey === undefined ? undefined : { 'Idempotency-Key': idempotencyKey };
  return json(server, 'POST', '/videos', { body: { ...details, url }, headers, signal });
}

/** Returns what the user has stored, and may store.
 * @param {Server & {signal?: AbortSignal}} [options] @returns {Promise<Usage>} */
export const usage = ({ signal, ...server } = {}) => json(server, 'GET', '/usage', { signal });

/** Changes what the user says about a video, and returns the video. With `ifMatch`, the `ETag` of a response with the video,
 * it rejects with PRECONDITION_FAILED if somebody else has changed it since.
 * @param {string} videoId @param {Change} change
 * @param {Server & {ifMatch?: string, signal?: AbortSignal}} [options] @returns {Promise<Video>} */
export function update(videoId, change, { ifMatch, signal, ...server } = {}) {
  const headers = ifMatch === undefined ? undefined : { 'If-Match': ifMatch };
  return json(server, 'PATCH', videoPath(videoId), { body: change, headers, signal });
}

/** Adds or replaces the captions of a video in a language, from a WebVTT or SubRip file, and returns the video.
 * @param {string} videoId @param {string} language language tag (BCP 47), such as `pt-BR` @param {Blob | string} file
 * @param {Server & {label?: string, kind?: Captions['kind'], signal?: AbortSignal}} [options]
 * @returns {Promise<Video>} */
export function putCaptions(videoId, language, file, { label, kind, signal, ...server } = {}) {
  const path = `${captionsPath(videoId, language)}?${queryOf({ label, kind })}`;
  return json(server, 'PUT', path, { body: new Blob([file]), signal });
}

/** Removes the captions of a video in a language. Succeeds if there are none.
 * @param {string} videoId @param {string} language @param {Server} [server] */
export async function removeCaptions(videoId, language, server = {}) {
  await call(server, 'DELETE', captionsPath(videoId, language)).catch(ignoreNotFound);
}

/** Makes the frame at a time in seconds the poster of a processed video.
 * @param {string} videoId @param {number} time @param {Server & {signal?: AbortSignal}} [options] */
export async function choosePoster(videoId, time, { signal, ...server } = {}) {
  await call(server, 'PUT', `${videoPath(videoId)}/poster`, { body: { time }, signal });
}

/** Deletes a video. Succeeds if it does not exist. @param {string} videoId @param {Server} [server] */
export async function remove(videoId, server = {}) {
  await call(server, 'DELETE', videoPath(videoId)).catch(ignoreNotFound);
}

/* One poller per server, for all videos that are followed */

/** @type {Poller[]} */
const pollers = [];

/** @param {Server} server */
function pollerOf({ api, headers }) {
  const id = typeof headers === 'function' ? headers : JSON.stringify(headers ?? {});
  let poller = pollers.find((other) => other.api === api && other.id === id);
  if (!poller) pollers.push(poller = new Poller(api, headers, id));
  return poller;
}

class Poller {
  /** @type {Map<string, Set<Watcher>>} */ #watchers = new Map();
  /** The last response of each path. @type {Map<string, {etag: string | null, text: string}>} */ #known = new Map();
  #running = false;
  #polls = 0;
  #requests = 0;
  #wake = () => {};

  /** @param {Server['api']} api @param {Server['headers']} headers @param {unknown} id */
  constructor(api, headers, id) {
    this.api = api;
    this.id = id;
    this.server = { api, headers };
  }

  /** @param {string} videoId @param {Watcher} watcher */
  add(videoId, watcher) {
    const watchers = this.#watchers.get(videoId) ?? new Set();
    this.#watchers.set(videoId, watchers.add(watcher));
    this.#polls = 0;
    this.#wake();
    if (!this.#running) this.#run();
  }

  /** @param {string} videoId @param {Watcher} watcher */
  remove(videoId, watcher) {
    const watchers = this.#watchers.get(videoId);
    watchers?.delete(watcher);
    if (watchers?.size === 0) this.#watchers.delete(videoId);
    if (this.#watchers.size === 0) this.#wake();
  }

  async #run() {
    this.#running = true;
    await undefined; // videos that are added together are polled together
    while (this.#watchers.size) {
      this.#requests = 0;
      let wait = 0;
      try {
        wait = await retry(() => this.#poll(), {
          attempts: Infinity,
          onRetry: (error) => this.#each((watcher) => { watcher.retried = true; watcher.onRetry(error); }),
        });
      } catch (error) {
        this.#each((watcher) => watcher.fail(error));
      }
      // A new video restarts the delays, but each request still takes its share of the time.
      const least = MIN_POLL * this.#requests;
      await sleep(least);
      await new Promise((resolve) => {
        this.#wake = () => resolve(undefined);
        this.#polls += 1;
        const delay = Math.min(MAX_POLL, 500 * 1.5 ** this.#polls) * (1 + Math.random() / 4);
        sleep(Math.max(wait, delay) - least).then(this.#wake);
        if (!this.#watchers.size) this.#wake();
      });
      this.#wake = () => {};
      while (globalThis.document?.hidden) await waitFor(document, 'visibilitychange', {});
    }
    // A later watch makes a new poller, perhaps with another token.
    pollers.splice(pollers.indexOf(this), 1);
  }

  /** Returns for how long the server asks to wait, in milliseconds. */
  async #poll() {
    const ids = [...this.#watchers.keys()].sort().reverse();
    /** @type {Set<string>} */
    const left = new Set(ids);
    if (ids.length > MAX_SINGLE_POLLS) {
      let cursor;
      for (let pages = 0; pages < MAX_LIST_PAGES; pages += 1) {
        /** @type {{videos: Video[], cursor?: string}} */
        const page = JSON.parse((await this.#request(listPath({ limit: 100, cursor }))).text);
        for (const video of page.videos) if (left.delete(video.videoId)) this.#notify(video);
        cursor = page.cursor;
        // The list is sorted by id, newest first.
        const oldest = page.videos[page.videos.length - 1]?.videoId;
        if (!cursor || ![...left].some((id) => id < oldest)) break;
      }
    }
    // Videos that the list lacks are requested one by one: the list can lag behind, and ends at MAX_LIST_PAGES.
    let wait = 0;
    for (const videoId of [...left].slice(0, MAX_SINGLE_POLLS)) {
      try {
        const { headers, text } = await this.#request(videoPath(videoId));
        wait = Math.max(wait, retryAfter(headers));
        this.#notify(JSON.parse(text));
      } catch (error) {
        if (error.status !== 404) throw error;
        for (const watcher of this.#watchers.get(videoId) ?? []) watcher.fail(error);
      }
      // Moves the video to the end, so that the others are requested by the next polls.
      const watchers = this.#watchers.get(videoId);
      if (watchers && left.size > MAX_SINGLE_POLLS) {
        this.#watchers.delete(videoId);
        this.#watchers.set(videoId, watchers);
      }
    }
    return wait;
  }

  /** Requests a path unless it has not changed. @param {string} path */
  async #request(path) {
    this.#requests += 1;
    const known = this.#known.get(path);
    const headers = known?.etag ? { 'If-None-Match': known.etag } : undefined;
    const response = await call(this.server, 'GET', path, { headers });
    if (response.status === 304 && known) return { headers: response.headers, text: known.text };
    this.#known.set(path, { etag: response.headers.get('ETag'), text: response.text });
    return response;
  }

  /** @param {Video} video */
  #notify(video) {
    const text = JSON.stringify(video);
    for (const watcher of this.#watchers.get(video.videoId) ?? []) {
      if (watcher.last === text && !watcher.retried) continue;
      watcher.last = text;
      watcher.retried = false;
      watcher.onChange(video);
    }
  }

  /** @param {(watcher: Watcher) => void} act */
  #each(act) {
    for (const watchers of [...this.#watchers.values()]) for (const watcher of [...watchers]) act(watcher);
  }
}

/* Helpers that need no browser */

/** Returns the part size for a file: a fortieth of it, so that little is sent again after a lost connection, but 5 to
 * 8 MiB, or more if that would take over 10,000 parts. @param {number} size */
export const partSizeOf = (size) => {
  const part = Math.min(USUAL_PART, Math.max(MIN_PART, Math.ceil(size / 40 / MiB) * MiB));
  return Math.max(part, Math.ceil(size / MAX_PARTS / MiB) * MiB);
};

/** Returns how many parts of a file are sent at the same time. From 55 MiB on, they are less than a tenth of the file,
 * because a lost connection discards them. @param {number} size @param {number} [partSize] */
export const transfersOf = (size, partSize = partSizeOf(size)) => (
  Math.max(1, Math.min(MAX_TRANSFERS, Math.floor(size / 11 / partSize))));

/** Splits a file into parts. @param {number} size @param {number} [partSize]
 * @returns {{number: number, start: number, end: number}[]} */
export function planParts(size, partSize = partSizeOf(size)) {
  return Array.from({ length: Math.ceil(size / partSize) }, (_, i) => (
    { number: i + 1, start: i * partSize, end: Math.min(size, (i + 1) * partSize) }));
}

/** Returns the delay before the next attempt in milliseconds: exponential up to 30 s, with 50 % jitter.
 * @param {number} attempt @param {number} [random] */
export const backOff = (attempt, random = Math.random()) => Math.min(30_000, 500 * 2 ** attempt) * (0.5 + random / 2);

/** Identifies a file without reading it. @param {Pick<File, 'name' | 'size' | 'lastModified' | 'type'>} file */
export const fingerprint = ({ name, size, lastModified, type }) => JSON.stringify([name, size, lastModified, type]);

/** @param {string} videoId */
const videoPath = (videoId) => `/videos/${encodeURIComponent(videoId)}`;
/** @param {string} videoId @param {string} language */
const captionsPath = (videoId, language) => `${videoPath(videoId)}/captions/${encodeURIComponent(language)}`;
/** @param {{limit?: number, cursor?: string, title?: string, tag?: string}} query */
const listPath = (query) => `/videos?${queryOf(query)}`;
/** @param {Record<string, string | number | undefined>} fields */
const queryOf = (fields) => new URLSearchParams(
  Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])));
/** Returns a route of a multipart upload. @param {Session} session @param {string} [rest] */
const routeOf = ({ uploadId, key }, rest = '') => (
  `/s3/multipart/${uploadId}${rest}?${new URLSearchParams({ key: String(key) })}`);
/** @param {Uint8Array} bytes */
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
const offline = () => globalThis.navigator?.onLine === false;
/** @param {number} ms @returns {Promise<void>} */
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, Math.max(0, ms)); });

/* Formats: a copy of crates/core/src/container/sniff.rs, which a test compares. Bytes are strings of U+0000 to U+00FF. */

const SUPPORTED = 'MP4, MOV, 3GP, WebM, Matroska, AVI, MPEG-TS, MPEG-PS, MPEG video, FLV, Ogg or WMV';
const SUPPORTED_WITH_AUDIO = `${SUPPORTED.replace(' or ', ', ')}, MP3, AAC, FLAC or WAV`;
const SNIFF_LENGTH = 4096;
/** Bytes that are read to recognise the format: an ID3 tag can precede the file. */
const HEAD_LENGTH = 64 * 1024;
/** Well-known formats that are not supported: where and by which bytes they are recognised. @type {[number, string, string][]} */
const FORMATS = [
  [0, '\x06\x0E\x2B\x34\x02\x05\x01\x01\x0D\x01\x02\x01\x01\x02', 'MXF'],
  [0, '\xB7\xD8\x00\x20\x37\x49\xDA\x11\xA6\x4E\x00\x07\xE9\x5E\xAD\x8D', 'WTV'],
  [0, '.RMF', 'RealMedia'], [0, '.ra\xFD', 'RealAudio'],
  [0, 'GIF8', 'GIF'], [0, '\x89PNG\r\n\x1A\n', 'PNG'], [0, '\xFF\xD8\xFF', 'JPEG'], [8, 'WEBP', 'WebP'],
  [8, 'WAVE', 'WAV'], [0, 'RF64', 'WAV'], [0, 'BM', 'BMP'], [0, 'II*\0', 'TIFF'], [0, 'MM\0*', 'TIFF'],
  [0, 'fLaC', 'FLAC'], [0, 'MThd', 'MIDI'], [0, 'caff', 'CAF audio'], [0, 'wvpk', 'WavPack'],
  [0, 'MAC ', "Monkey's Audio"], [0, '#!AMR', 'AMR audio'], [0, '\x0B\x77', 'AC-3 audio'],
  [0, '\x7F\xFE\x80\x01', 'DTS audio'], [0, 'DKIF', 'IVF'], [0, 'YUV4MPEG2', 'YUV4MPEG'], [0, 'NSVf', 'NSV'],
  [0, 'NSVs', 'NSV'], [0, 'nut/multimedia container\0', 'NUT'], [0, 'SMK2', 'Smacker'], [0, 'SMK4', 'Smacker'],
  [0, 'BIKi', 'Bink'], [0, 'KB2', 'Bink'], [0, 'TiVo', 'TiVo'], [0, '\x8AMNG', 'MNG'], [0, 'GXF', 'GXF'],
  [0, '\0\0\0\0\x01\xBC', 'GXF'], [0, '\x1F\x07\0', 'raw DV'], [0, '%PDF', 'PDF'], [0, 'PK\x03\x04', 'ZIP'],
  [0, '#EXTM3U', 'an HLS playlist'], [0, '[playlist]', 'a playlist'],
];

/** Rejects a file that the server does not support, before anything of it is sent.
 * @param {Blob} file @param {boolean} [audio] */
async function refuseUnsupported(file, audio) {
  if (!file.size) throw new UpreelError({ status: 400, code: 'EMPTY_FILE', message: 'The file is empty.' });
  const head = await file.slice(0, HEAD_LENGTH).arrayBuffer().catch((cause) => { throw unreadable(cause); });
  const message = refusal(new Uint8Array(head), audio);
  if (message) throw new UpreelError({ status: 415, code: 'UNSUPPORTED_MEDIA', message });
}

/** Returns why a file that begins with these bytes is not a supported video, as a sentence for users. Returns undefined
 * for a supported one, with `audio` also for audio alone. @param {Uint8Array} head @param {boolean} [audio] */
export function refusal(head, audio = false) {
  // A loop, since a call with this many arguments fails.
  const text = Array.from(head.subarray(0, HEAD_LENGTH), (byte) => String.fromCharCode(byte)).join('');
  if (isContainer(text) || (audio && isAudio(text))) return undefined;
  const format = formatOf(text);
  const supported = audio ? SUPPORTED_WITH_AUDIO : SUPPORTED;
  return `${format ? `${format} is not supported.` : 'This file isn\'t a supported video.'} Supported: ${supported}.`;
}

/** @param {string} head @returns {boolean} */
function isContainer(head) {
  if (head.startsWith('\x1A\x45\xDF\xA3')) return isMatroska(head);
  if (head.startsWith('ID3')) {
    const length = tagLength(head);
    return length !== undefined && length <= head.length && isContainer(head.slice(length));
  }
  return /^(?:RIFF[^]{4}AVI |FLV\x01|OggS\0|\x30\x26\xB2\x75\x8E\x66\xCF\x11|\0\0\x01\xBA)/.test(head)
    || isMpegVideo(head) || isIsoMedia(head) || isTransportStream(head.slice(0, SNIFF_LENGTH));
}

/** Whether a file is in a format for audio alone. @param {string} head @returns {boolean} */
function isAudio(head) {
  if (head.startsWith('ID3')) {
    const length = tagLength(head);
    if (length === undefined || length > head.length) return false;
    const rest = head.slice(length);
    return !rest || (!rest.startsWith('ID3') && isAudio(rest));
  }
  const [sync, second, third] = [...head.slice(0, 3)].map((byte) => byte.charCodeAt(0));
  const isAdts = (second & 0xF6) === 0xF0 && (third >> 2 & 15) < 13;
  const isMp3 = (second & 0xE6) === 0xE2 && (second & 0x18) !== 8 && third >> 4 !== 15 && (third >> 2 & 3) !== 3;
  return /^(?:fLaC|(?:RIFF|RF64)[^]{4}WAVE)/.test(head) || (head.length > 2 && sync === 0xFF && (isAdts || isMp3));
}

/** Whether a file begins with a sequence header of MPEG-1 or MPEG-2 video. @param {string} head */
function isMpegVideo(head) {
  const [, header] = /^\0{2,8}\x01\xB3([^]{4})/.exec(head) ?? [];
  if (header === undefined) return false;
  const [width, both, height, codes] = [...header].map((byte) => byte.charCodeAt(0));
  const hasSize = (width > 0 || both >> 4 > 0) && ((both & 0x0F) > 0 || height > 0);
  return hasSize && codes >> 4 > 0 && (codes & 0x0F) >= 1 && (codes & 0x0F) <= 8;
}

/** Returns the length of an ID3v2 tag at the start of a file. @param {string} head */
function tagLength(head) {
  const size = [...head.slice(6, 10)].map((byte) => byte.charCodeAt(0));
  if (!head.startsWith('ID3') || head.length < 10 || size.some((byte) => byte > 0x7F)) return undefined;
  return 10 + size.reduce((sum, byte) => sum * 128 + byte, 0) + (head.charCodeAt(5) & 0x10 ? 10 : 0);
}

/** @param {string} head */
function isIsoMedia(head) {
  if (head.length < 12) return false;
  const size = [...head.slice(0, 4)].reduce((sum, byte) => sum * 256 + byte.charCodeAt(0), 0);
  const type = head.slice(4, 8);
  if (type === 'ftyp') return size >= 8 && !/^(?:hei[cxms]|mif[12]|avif|crx )/.test(head.slice(8, 12));
  if (/^(?:moov|mdat|wide|free|skip|pnot)$/.test(type)) return size === 1 || size >= 8;
  return /^(?:styp|moof|sidx)$/.test(type);
}

/** Whether the sync byte repeats with the period of a packet. @param {string} head */
function isTransportStream(head) {
  for (const stride of [188, 192, 204]) {
    for (let first = 0; first < stride; first += 1) {
      const least = first === 0 || first === 4 ? 3 : 5;
      let syncs = 0;
      let at = first;
      while (syncs < least + 2 && head[at] === '\x47') { syncs += 1; at += stride; }
      if (syncs === least + 2 || (syncs >= least && at >= head.length)) return true;
    }
  }
  return false;
}

/** Reads DocType in the EBML header. @param {string} head */
function isMatroska(head) {
  const size = ebmlSize(head, 4);
  if (!size) return false;
  const end = Math.min(head.length, size.end + size.value);
  for (let at = size.end; at < end;) {
    const idLength = Math.clz32(head.charCodeAt(at)) - 23;
    const length = ebmlSize(head.slice(0, end), at + idLength);
    if (!length) return false;
    const next = length.end + length.value;
    if (next > end) return false;
    if (head.slice(at, at + idLength) === '\x42\x82') {
      return /^(?:webm|matroska)\0?$/.test(head.slice(length.end, next));
    }
    at = next;
  }
  return false;
}

/** Reads an EBML variable-size integer. @param {string} head @param {number} at */
function ebmlSize(head, at) {
  const first = head.charCodeAt(at);
  const length = Math.clz32(first) - 23;
  if (!(at < head.length) || length > 8 || at + length > head.length) return undefined;
  let value = first & (0x7F >> (length - 1));
  for (let i = 1; i < length; i += 1) value = value * 256 + head.charCodeAt(at + i);
  return { value, end: at + length };
}

/** Returns the name of a well-known format that is not supported. @param {string} head @returns {string | undefined} */
function formatOf(head) {
  const tag = tagLength(head);
  if (tag !== undefined) return tag > head.length ? undefined : formatOf(head.slice(tag)) ?? 'MP3';
  if (head.startsWith('ftyp', 4)) {
    const brand = head.slice(8, 12);
    if (/^(?:hei[cxms]|mif[12])$/.test(brand)) return 'HEIF';
    return /** @type {Record<string, string>} */ ({ avif: 'AVIF', 'crx ': 'Canon raw' })[brand];
  }
  if (head.startsWith('\x89PNG') && head.slice(0, SNIFF_LENGTH + 3).includes('acTL')) return 'APNG';
  const [, , known] = FORMATS.find(([offset, text]) => head.startsWith(text, offset)) ?? [];
  if (known) return known;
  // Streams that are in no container.
  const [, zeros, start] = /^(\0{0,7})([^\0][^]{0,2})/.exec(head) ?? [];
  if (start === undefined) return undefined;
  if (zeros.length >= 2) {
    if (/^\x01\x0F/.test(start)) return 'raw VC-1';
    if (/^\x01[\xB0\0]/.test(start)) return 'raw MPEG-4 video';
    if (/^\x01[\x40\x42\x46]\x01/.test(start)) return 'raw HEVC';
    if (/^\x01[\x67\x27\x47\x09\x06]/.test(start)) return 'raw H.264';
  }
  if (zeros.length > 0) return undefined;
  if (/^\x12\0\x0A/.test(start)) return 'raw AV1';
  if (/^\xFF[\xF1\xF9]/.test(start)) return 'AAC audio';
  return /^\xFF[\xE2-\xE7\xEA-\xEF\xF2-\xF7\xFA-\xFF][^\xF0-\xFF]/.test(start) ? 'MP3' : undefined;
}

/* Stored sessions: localStorage maps a file's fingerprint to its upload */

/** @typedef {Session & {name: string, size: number, type: string, lastModified: number, at: number}} StoredSession */

/** @param {Server} server */
const storagePrefix = ({ api }) => `upreel ${new URL(api || '/', globalThis.location?.href)} `;
/** @param {Server} server @param {File} file */
const storageKeyOf = (server, file) => storagePrefix(server) + fingerprint(file);

// Where localStorage fails (Node, private windows, exceeded quota), uploads still work but restart after a reload.
/** @template T @param {() => T} work @returns {T | undefined} */
const ignoreErrors = (work) => { try { return work(); } catch { return undefined; } };
/** @param {string} id @param {StoredSession} session */
const saveSession = (id, session) => ignoreErrors(() => { localStorage.setItem(id, JSON.stringify(session)); });
/** @param {string} id */
const deleteSession = (id) => { ignoreErrors(() => { localStorage.removeItem(id); }); };
/** @param {string} id @returns {StoredSession | undefined} */
const loadSession = (id) => ignoreErrors(() => {
  const session = JSON.parse(localStorage.getItem(id) ?? 'null');
  return session && Date.now() - session.at < SESSION_TTL ? session : deleteSession(id);
});
/** @param {Server} server @returns {[string, StoredSession][]} */
function storedSessions(server) {
  const ids = ignoreErrors(() => Object.keys(localStorage).filter((id) => id.startsWith(storagePrefix(server)))) ?? [];
  return ids.flatMap((id) => {
    const session = loadSession(id);
    return session ? [/** @type {[string, StoredSession]} */ ([id, session])] : [];
  });
}

/** Returns how many bytes of an interrupted upload the server has, or undefined if it has all of them or the upload does
 * not exist any more. @param {StoredSession} session @param {Server} server */
async function sentBytes(session, server) {
  try {
    if (session.uploadId) {
      return (await listParts(session, server)).reduce((/** @type {number} */ sum, { Size }) => sum + Size, 0);
    }
    if (session.videoId) return (await get(session.videoId, server)).status === 'PENDING' ? 0 : undefined;
    // A form has no id before its response. If it has arrived, its video is in the list.
    const { videos } = await list({ ...server, limit: 100 });
    const isSame = (/** @type {Video} */ { filename, size, uploadTime }) => (
      filename === session.name.normalize('NFC') && size === session.size
      && Date.parse(uploadTime) > session.at - STALL_TIMEOUT);
    return videos.some(isSame) ? undefined : 0;
  } catch (error) {
    if (error.status !== 404) throw error;
    return undefined;
  }
}

/** Tries to acquire a Web Lock, passes to `work` whether it succeeded, and holds the lock until `work` is done.
 * @template T @param {string} name @param {(acquired: boolean) => Promise<T>} work @returns {Promise<T>} */
function withLock(name, work) {
  const locks = globalThis.navigator?.locks;
  return locks ? locks.request(name, { ifAvailable: true }, (lock) => work(Boolean(lock))) : work(true);
}

/** Returns the ids of the sessions whose locks are held. */
async function runningUploads() {
  const { held = [] } = await globalThis.navigator?.locks?.query() ?? {};
  return held.map(({ name }) => name);
}

/* Requests */

/** @param {Server} server */
const headersOf = ({ headers }) => (typeof headers === 'function' ? headers() : headers);
/** @param {Parameters<typeof call>} request */
const json = async (...request) => JSON.parse((await call(...request)).text);
/** @param {{status?: number}} error */
const ignoreNotFound = (error) => { if (error.status !== 404) throw error; };
/** @param {Session} session @param {Server} server @param {AbortSignal} [signal]
 * @returns {Promise<{PartNumber: number, Size: number, ETag: string}[]>} */
const listParts = (session, server, signal) => json(server, 'GET', routeOf(session), { signal });
/** @param {Headers} headers */
const retryAfter = (headers) => {
  const text = headers.get('Retry-After') ?? '';
  return Math.max(0, /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now()) || 0;
};

/** Sends a request to the API and returns the response with its body.
 * @param {Server} server @param {string} method @param {string} path
 * @param {{headers?: Record<string, string>, body?: object, signal?: AbortSignal}} [options]
 * @returns {Promise<ApiResponse>} */
async function call(server, method, path, { headers, body, signal } = {}) {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const abort = () => controller.abort();
  // Throws if the request itself is invalid. Errors that fetch throws afterwards are due to the network.
  const request = new Request((server.api ?? '') + path, {
    method,
    cache: 'no-store',
    headers: { ...await headersOf(server), ...headers },
    body: body instanceof Blob ? body : body && JSON.stringify(body),
    signal: controller.signal,
  });
  signal?.addEventListener('abort', abort);
  const timer = setTimeout(abort, STALL_TIMEOUT);
  try {
    const response = await responseOf(request, signal, true);
    if (response.ok || response.status === 304) return response;
    throw responseError(response.status, response.text, retryAfter(response.headers));
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

/** Sends a request with fetch and reads the whole response.
 * @param {Request} request @param {AbortSignal} [signal] @param {boolean} [toApi] */
async function responseOf(request, signal, toApi) {
  try {
    const response = await fetch(request);
    const { ok, status, headers } = response;
    return { ok, status, headers, text: await response.text() };
  } catch (cause) {
    throw signal?.aborted ? signal.reason : networkError(request.url, toApi, cause);
  }
}

/** @param {Transfer & {signal: AbortSignal, onSent: (bytes: number) => void}} request @returns {Promise<Answer>} */
const transfer = (request) => ('XMLHttpRequest' in globalThis ? sendWithXhr(request) : sendWithFetch(request));

/** Sends a body with XMLHttpRequest, which reports upload progress; fetch does not.
 * @param {Transfer & {signal: AbortSignal, onSent: (bytes: number) => void}} request @returns {Promise<Answer>} */
function sendWithXhr({ method, url, headers = {}, body, toApi, signal, onSent }) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    /** @type {ReturnType<typeof setTimeout>} */
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
    xhr.onload = () => {
      // `getResponseHeader` would log an error for a header that is not exposed, such as S3's Retry-After.
      const received = new Headers(xhr.getAllResponseHeaders().trim().split('\r\n').map((line) => {
        const [, name, value] = /^([^:]*):\s*(.*)$/.exec(line) ?? ['', 'x', ''];
        return /** @type {[string, string]} */ ([name, value]);
      }));
      if (xhr.status >= 300) reject(responseError(xhr.status, xhr.responseText, retryAfter(received)));
      else resolve({ status: xhr.status, etag: received.get('ETag'), text: xhr.responseText });
    };
    xhr.onabort = () => reject(signal.aborted ? signal.reason : networkError(url, toApi));
    // XHR reports a lost connection and an unreadable file alike. Reading a byte of the file distinguishes them.
    xhr.onerror = () => fileOf(body).slice(0, 1).arrayBuffer().then(
      () => reject(networkError(url, toApi)),
      (cause) => reject(unreadable(cause)),
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

/** Sends a body where there is no XMLHttpRequest: in Node and in workers that have none.
 * @param {Transfer & {signal: AbortSignal, onSent: (bytes: number) => void}} request @returns {Promise<Answer>} */
async function sendWithFetch({ method, url, headers, body, toApi, signal, onSent }) {
  const request = new Request(url, { method, headers, body, signal });
  const { ok, status, headers: received, text } = await responseOf(request, signal, toApi);
  if (!ok) throw responseError(status, text, retryAfter(received));
  onSent(fileOf(body).size);
  return { status, etag: received.get('ETag'), text };
}

/** @param {Blob | FormData} body @returns {Blob} */
const fileOf = (body) => (body instanceof Blob ? body : /** @type {Blob} */ (body.get('file')));

/** @type {{free: number, waiting: (() => void)[]}} */
const transferSlots = { free: MAX_TRANSFERS, waiting: [] };

/** Runs `work` when fewer than MAX_TRANSFERS transfers are running. @template T
 * @param {AbortSignal} signal @param {() => Promise<T>} work @returns {Promise<T>} */
async function withTransferSlot(signal, work) {
  signal.throwIfAborted();
  if (transferSlots.free) transferSlots.free -= 1;
  else {
    await new Promise((resolve, reject) => {
      const proceed = () => {
        signal.removeEventListener('abort', abort);
        resolve(undefined);
      };
      const abort = () => {
        transferSlots.waiting.splice(transferSlots.waiting.indexOf(proceed), 1);
        reject(signal.reason);
      };
      transferSlots.waiting.push(proceed);
      signal.addEventListener('abort', abort, { once: true });
    });
  }
  try {
    return await work();
  } finally {
    const next = transferSlots.waiting.shift();
    if (next) next(); else transferSlots.free += 1;
  }
}

/** Repeats `step` until it succeeds or fails permanently. Time spent offline does not count as an attempt.
 * @template T @param {() => Promise<T>} step
 * @param {{signal?: AbortSignal, attempts?: number, onRetry?: (error: UpreelError) => void}} options @returns {Promise<T>} */
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
      if (!error?.temporary || attempt + 1 >= attempts) throw error;
      signal?.throwIfAborted();
      if (offline()) attempt = -1;
      onRetry?.(error);
      // A restored connection ends the delay early.
      const ms = Math.max(error.retryAfter, backOff(Math.max(0, attempt)));
      await waitFor(globalThis, 'online', { ms, signal });
    }
  }
}

/** Waits for an event, or for `ms` milliseconds if given. Rejects when `signal` aborts.
 * @param {Partial<Pick<EventTarget, 'addEventListener' | 'removeEventListener'>>} target @param {string} type
 * @param {{ms?: number, signal?: AbortSignal}} options @returns {Promise<void>} */
function waitFor(target, type, { ms, signal }) {
  return new Promise((resolve, reject) => {
    const end = (/** @type {() => void} */ settle) => () => {
      clearTimeout(timer);
      target.removeEventListener?.(type, proceed);
      signal?.removeEventListener('abort', abort);
      settle();
    };
    const proceed = end(resolve);
    const abort = end(() => reject(signal?.reason));
    const timer = ms === undefined ? undefined : setTimeout(proceed, ms);
    target.addEventListener?.(type, proceed);
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
  });
}

/** @param {string} url of the request @param {boolean} [toApi] @param {unknown} [cause] */
function networkError(url, toApi, cause) {
  const page = globalThis.location;
  const isLocal = (/** @type {string} */ name) => /^(?:(?:.+\.)?localhost|127(?:\.\d+){3}|\[::1\])$/.test(name);
  // Browsers report the same error for a server that does not run and for one that refuses the page.
  const target = toApi && page ? new URL(url, page.href) : undefined;
  const refused = target && target.origin !== page.origin && isLocal(target.hostname) && isLocal(page.hostname);
  const hint = refused ? ` Start it so that it allows this page: make run ARGS="--allow-origin ${page.origin}"` : '';
  return new UpreelError({ code: 'NETWORK', message: `The server cannot be reached.${hint}`, cause });
}

/** @param {unknown} cause */
const unreadable = (cause) => new UpreelError({
  code: 'UNREADABLE_FILE', message: 'This file cannot be read. It was moved or changed, or is a folder.', cause,
});

/** Builds the error for a response from its problem+json or S3's XML. Other bodies, such as a proxy's HTML, leave only
 * the status. @param {number} status @param {string} text @param {number} [wait] */
function responseError(status, text, wait = 0) {
  /** @type {Partial<Record<keyof Problem, string>>} */
  let problem = {};
  try {
    problem = JSON.parse(text) ?? {};
  } catch {
    problem = { code: /<Code>(.+?)<\/Code>/.exec(text)?.[1], detail: /<Message>(.+?)<\/Message>/.exec(text)?.[1] };
  }
  const message = problem.detail ?? problem.message ?? `The server responded with status ${status}.`;
  return new UpreelError({ status, code: problem.code ?? `HTTP_${status}`, message, retryAfter: wait });
}
