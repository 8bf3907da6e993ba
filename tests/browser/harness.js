// Building blocks of the browser tests: the real backend, a real Chromium, pages, videos, and a network that can fail.
//
// Everything that is started stops with the test (or suite) whose context `t` is passed. Tests never wait for a fixed
// time: they wait for a condition, and fail after TIMEOUT.

import assert from 'node:assert/strict';
import {execFile, spawn} from 'node:child_process';
import {createCipheriv, createHash} from 'node:crypto';
import {accessSync, constants} from 'node:fs';
import {appendFile, mkdtemp, readFile, rm, stat} from 'node:fs/promises';
import {createServer, request as forward} from 'node:http';
import {tmpdir} from 'node:os';
import {delimiter, extname, join, normalize} from 'node:path';
import {createInterface} from 'node:readline';
import {after} from 'node:test';
import {setTimeout as sleep} from 'node:timers/promises';
import {promisify} from 'node:util';
import {AwsClient} from 'aws4fetch';
import * as esbuild from 'esbuild';
import {chromium} from 'playwright-core';

/** The root of the repository. */
export const root = join(import.meta.dirname, '../..');

/** Timeout of every wait in milliseconds. It only ends a hang: no test depends on the machine's speed. */
export const TIMEOUT = Number(process.env.TIMEOUT ?? 600_000);

/** Polls `condition` until it returns a truthy value, and returns that. `description` completes "waiting until ...". */
export async function until(description, condition, timeout = TIMEOUT) {
  const end = Date.now() + timeout;
  for (;;) {
    const value = await condition();
    if (value) return value;
    assert.ok(Date.now() < end, `timed out after ${timeout} ms waiting until ${description}`);
    await sleep(50);
  }
}

/** The names of all formats of videos as the server lists them, read from `Container::format`: `MP4, MOV, ... or WMV`. */
export const FORMATS = await formatNames();

async function formatNames() {
  const source = await readFile(join(root, 'crates/core/src/container.rs'), 'utf8');
  const all = [...source.matchAll(/\bname: "([^"]+)"/g)].map(([, name]) => name);
  // After them come those for audio alone.
  const names = all.slice(0, all.indexOf('MP3'));
  assert.ok(names.length > 1, 'container.rs has no names of formats');
  return `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
}

// --- the backend ---------------------------------------------------------------------------------------------

/** The credentials of the backend's S3 and DynamoDB. */
const ACCESS_KEY = 'upreel', SECRET = 'secret-of-the-tests';

/** Pages of the tests have other ports than the backend. */
const ORIGIN = 'http://127.0.0.1:*';

/**
 * Starts `upreel --ephemeral` on free ports and returns once it is ready. $UPREEL is the path of the binary. Pages of the
 * tests may use it, unless `args` has other origins.
 */
export async function startBackend(t, ...args) {
  const ports = ['--port', '0', '--s3-port', '0', '--dynamodb-port', '0'];
  const origins = args.includes('--allow-origin') ? [] : ['--allow-origin', ORIGIN];
  const access = ['--s3-secret', SECRET, ...origins];
  const options = {stdio: ['ignore', 'pipe', 'pipe']};
  const child = spawn(process.env.UPREEL, ['--ephemeral', ...ports, ...access, ...args], options);
  const exit = new Promise((resolve) => child.once('exit', resolve));
  const log = [];
  createInterface({input: child.stderr}).on('line', (line) => log.push(line));
  const stop = async () => (child.kill('SIGTERM'), exit);
  t.after(stop);
  const backend = new Backend(log, stop);
  for await (const line of createInterface({input: child.stdout})) {
    const [, name, url] = line.match(/^ +(Page and API|S3|DynamoDB) +(http:\S+)/) ?? [];
    if (name === 'S3') backend.s3 = url;
    if (name === 'DynamoDB') backend.dynamodb = url;
    if (name === 'Page and API') backend.api = url;
    if (line.includes('Ctrl-C')) return backend;
  }
  throw new Error(`upreel did not start:\n${log.join('\n')}`);
}

class Backend {
  #owner = new AwsClient({
    accessKeyId: ACCESS_KEY,
    secretAccessKey: SECRET,
    region: 'us-east-1',
    service: 's3',
  });

  constructor(log, stop) {
    /** Lines of its standard error. */
    this.log = log;
    this.stop = stop;
  }

  /** Sends a request to the API and returns the parsed response. Fails unless the status is 2xx. */
  async json(path, init) {
    const response = await fetch(this.api + path, init);
    assert.ok(response.ok, `${path}: ${response.status} ${response.ok || (await response.clone().text())}`);
    return response.json();
  }

  /** Returns the caller's videos, newest first. */
  async videos() {
    return (await this.json('/videos')).videos;
  }

  /** Waits until the video is processed or has failed, checks its status and returns it. */
  async video(id, status = 'PROCESSED') {
    const settled = async () => {
      const video = await this.json(`/videos/${id}`);
      return ['PROCESSED', 'FAILED'].includes(video.status) && video;
    };
    const video = await until(`video ${id} is processed or has failed`, settled);
    assert.equal(video.status, status, JSON.stringify(video));
    return video;
  }

  /** Checks that the caller has one video, waits until it is PROCESSED, fetches its poster and returns the video. */
  async onlyVideo() {
    const videos = await this.videos();
    assert.equal(videos.length, 1, JSON.stringify(videos));
    const video = await this.video(videos[0].videoId);
    const poster = await fetch(video.thumbnailUrl);
    assert.deepEqual([poster.status, poster.headers.get('content-type')], [200, 'image/jpeg']);
    return video;
  }

  /** Checks that an object in the uploads bucket has the content of the file. */
  async assertStored(key, file) {
    const object = await this.object(key);
    assert.equal(object.status, 200, key);
    const hash = createHash('sha256');
    let size = 0;
    for await (const chunk of object.body) {
      hash.update(chunk);
      size += chunk.length;
    }
    assert.deepEqual([size, hash.digest('hex')], [file.size, file.sha256]);
  }

  /** Fetches an object from the uploads bucket with the owner's credentials. */
  object(key) {
    return this.#owner.fetch(`${this.s3}/uploads/${key}`);
  }

  /** Returns the list of objects in a bucket, as XML. */
  async list(bucket) {
    return (await this.#owner.fetch(`${this.s3}/${bucket}?list-type=2`)).text();
  }

  /** Returns the same URL with an expired signature. */
  async expiredUrl(method, url) {
    const bare = new URL(url);
    for (const name of [...bare.searchParams.keys()]) if (name.startsWith('X-Amz-')) bare.searchParams.delete(name);
    const signed = await this.#owner.sign(bare, {method, aws: {signQuery: true, datetime: '20200101T000000Z'}});
    return signed.url;
  }

  /** Returns the stored parts of a multipart upload, or undefined if the upload does not exist. */
  async parts(key, uploadId) {
    const response = await fetch(`${this.api}/s3/multipart/${uploadId}?${new URLSearchParams({key})}`);
    assert.ok([200, 404].includes(response.status), `${response.status}`);
    return response.ok ? response.json() : undefined;
  }
}

// --- pages and the browser -----------------------------------------------------------------------------------

/** Bundles a module with its imports. Returns the text of each output file by its path. */
export async function bundle(path) {
  const result = await esbuild.build({entryPoints: [path], bundle: true, format: 'esm', write: false, outdir: '/'});
  return Object.fromEntries(result.outputFiles.map((file) => [file.path, file.text]));
}

const TYPES = {'.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css'};

/** Serves the given texts by path and, for other paths, the files of `folder` if given. Returns the URL. */
export async function servePages(t, texts, folder) {
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, 'http://page').pathname).replace(/\/$/, '/index.html');
    const read = () => (folder ? readFile(join(folder, path)) : Promise.reject(new Error('no folder')));
    const body = await Promise.resolve(texts[path] ?? read()).catch(() => undefined);
    const status = body !== undefined ? 200 : path === '/favicon.ico' ? 204 : 404;
    response.writeHead(status, {'content-type': `${TYPES[extname(path)] ?? 'text/plain'}; charset=utf-8`});
    response.end(body);
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  t.after(() => (server.closeAllConnections(), new Promise((closed) => server.close(closed))));
  return `http://127.0.0.1:${server.address().port}`;
}

/** Finds a browser: $CHROMIUM, else Chromium or Chrome on the PATH, else in /Applications (macOS). */
export function findBrowser() {
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
  const candidates = [process.env.CHROMIUM].filter(Boolean);
  for (const folder of process.env.PATH.split(delimiter)) candidates.push(...names.map((name) => join(folder, name)));
  for (const name of ['Google Chrome', 'Chromium']) candidates.push(`/Applications/${name}.app/Contents/MacOS/${name}`);
  const usable = candidates.find((path) => {
    try {
      return accessSync(path, constants.X_OK), true;
    } catch {
      return false;
    }
  });
  return usable ?? assert.fail('no Chromium or Chrome found; set $CHROMIUM to the path of one');
}

let browser;

/** Returns the browser that all tests of a file share. */
function sharedBrowser() {
  browser ??= chromium.launch({executablePath: findBrowser()});
  return browser;
}
after(async () => (await browser)?.close());

/**
 * Opens a URL in a new browser context (`options`: those of Playwright's newContext).
 * `page.errors` holds the uncaught exceptions and console errors, `page.requests` all requests, and `page.pending` the
 * requests in progress.
 */
export async function openPage(t, url, options = {}) {
  const context = await (await sharedBrowser()).newContext(options);
  t.after(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT);
  page.errors = [];
  page.requests = [];
  page.on('pageerror', (error) => page.errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') page.errors.push(`${message.text()} (${message.location().url})`);
  });
  page.pending = new Set();
  page.on('request', (request) => (page.requests.push(request), page.pending.add(request)));
  page.on('requestfinished', (request) => page.pending.delete(request));
  page.on('requestfailed', (request) => page.pending.delete(request));
  await page.goto(url);
  return page;
}

/**
 * Starts a proxy for a page (`openPage(t, url, {proxy})`) whose connections can be cut and restored. Chromium's offline
 * mode is not enough, since it lets requests in progress finish.
 */
export async function startProxy(t) {
  const server = createServer((request, response) => {
    const {method, headers, url} = request;
    const forwarded = forward(url, {method, headers}, (upstream) => {
      // Chromium itself repeats a request if a reused connection is closed.
      response.shouldKeepAlive = false;
      const {connection, 'keep-alive': _, ...rest} = upstream.headers;
      response.writeHead(upstream.statusCode, rest);
      upstream.pipe(response);
    });
    forwarded.on('error', () => response.destroy());
    request.on('data', (data) => {
      proxy.received += data.length;
      if (proxy.received > limit) disconnect();
    });
    request.on('error', () => forwarded.destroy()).pipe(forwarded);
    response.on('close', () => forwarded.destroy());
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  let connected = true;
  let limit = Infinity;
  server.on('connection', (socket) => connected || socket.destroy());
  const disconnect = () => ((connected = false), (limit = Infinity), server.closeAllConnections());
  const reconnect = () => (connected = true);
  t.after(() => (disconnect(), new Promise((closed) => server.close(closed))));
  const proxy = {
    proxy: {server: `http://127.0.0.1:${server.address().port}`},
    disconnect,
    reconnect,
    /** The bytes of all request bodies. */
    received: 0,
    /** Cuts the connections once so many bytes have been received. */
    cutAfter: (bytes) => (limit = bytes),
  };
  return proxy;
}

/** Sets Chromium's network conditions: `{offline}`, or `up` and `down` in bytes per second and `latency` in ms. */
export async function network(page, {offline = false, up = -1, down = -1, latency = 0}) {
  page.devtools ??= await page.context().newCDPSession(page);
  await page.devtools.send('Network.enable');
  const conditions = {offline, latency, uploadThroughput: up, downloadThroughput: down};
  await page.devtools.send('Network.emulateNetworkConditions', conditions);
}

/** Waits until the page has the controls of its player. It loads them after the first frame of a linked video. */
export const waitForControls = (page) => page.evaluate(() => customElements.whenDefined('media-controller').then(() => {}));

/** Waits until a menu of the player has these items (strings or regular expressions). */
export async function assertChoices(page, name, expected) {
  const items = page.getByRole('menu', {name, includeHidden: true}).getByRole('menuitemradio', {includeHidden: true});
  let found;
  const isShown = async () => {
    found = (await items.allTextContents()).map((text) => text.trim());
    return found.length === expected.length
      && expected.every((item, i) => (item instanceof RegExp ? item.test(found[i]) : item === found[i]));
  };
  await until(`the menu has the items ${expected}`, isShown)
    .catch(({message}) => assert.fail(`${message}; its items are ${found}`));
}

/** Opens the menu of a button, and chooses an item. */
export async function choose(page, button, name) {
  await page.getByRole('button', {name: button}).click();
  await page.getByRole('menuitemradio', {name, exact: true}).click();
}

const axe = await readFile(join(import.meta.dirname, 'node_modules/axe-core/axe.min.js'), 'utf8');

/** Checks that axe-core finds no violation on the page as it is now. */
export async function accessibility(page) {
  // A Content-Security-Policy does not apply to this script.
  await page.evaluate(axe);
  const violations = await page.evaluate(async () => (await window.axe.run()).violations);
  const found = violations.flatMap(({id, help, nodes}) => nodes.map(({html, any}) => `${id}: ${help}: ${html} ${any[0]?.message ?? ''}`));
  assert.deepEqual(found, []);
}

// --- videos --------------------------------------------------------------------------------------------------

const run = promisify(execFile);

/** Creates a temporary folder that is deleted after the test. */
export async function folder(t) {
  const path = await mkdtemp(join(tmpdir(), 'upreel-browser-'));
  t.after(() => rm(path, {recursive: true}));
  return path;
}

/**
 * Encodes an MP4 with a keyframe every two seconds and returns `{path, size, sha256}`. With `size`, pads the file to
 * that many bytes with a `free` box, which players skip. Its bytes do not repeat, so that mixed-up parts are noticed.
 */
export async function makeVideo(path, {size, seconds = 2, rate = 25, resolution = '640x360', audio = false} = {}) {
  const source = ['-f', 'lavfi', '-i', `testsrc2=size=${resolution}:rate=${rate}:duration=${seconds}`];
  // `audio` can be the duration of the audio.
  const length = audio === true ? seconds : audio;
  if (length) source.push('-f', 'lavfi', '-i', `sine=frequency=440:duration=${length}`);
  const quiet = ['-nostdin', '-hide_banner', '-loglevel', 'error', '-y'];
  const codec = ['-pix_fmt', 'yuv420p', '-g', String(2 * rate), '-movflags', '+faststart'];
  await run('ffmpeg', [...quiet, ...source, ...codec, path]);
  if (size) {
    const length = size - (await stat(path)).size;
    const header = Buffer.from([0, 0, 0, 0, ...Buffer.from('free')]);
    header.writeUInt32BE(length);
    const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16));
    const padding = cipher.update(Buffer.alloc(length - 8));
    await appendFile(path, Buffer.concat([header, padding]));
  }
  const bytes = await readFile(path);
  return {path, size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex')};
}
